"""Speed and memory of converting JetClass ROOT files on one core.

The file has JetClass' layout and made-up jets of 42 +- 15 constituents. Its content is more than ten times the memory that
the conversion takes: it is streamed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from jetformer_data.jets import offsets_of
from jetformer_data.layouts import write_layout
from jetformer_data.raw import RawJets
from jetformer_data.sources.jetclass import CLASSES

SEED = 1
JETS, CHUNK = 2_400_000, 10_000
KINDS = ("is_charged_hadron", "is_neutral_hadron", "is_photon", "is_electron", "is_muon")


def some_jets(jets: int, seed: int) -> RawJets:
    """Made-up jets of realistic size, float32."""
    rng = np.random.default_rng(seed)
    counts = np.clip(rng.normal(42, 15, jets).round().astype(int), 1, 128)
    offsets, jet = offsets_of(counts), np.repeat(np.arange(jets), counts)
    pt = rng.exponential(15, len(jet)) + 0.5
    pt = pt[np.lexsort((-pt, jet))]
    eta = rng.uniform(-1.8, 1.8, jets)[jet] + rng.normal(scale=0.2, size=len(jet))
    phi = rng.uniform(-3, 3, jets)[jet] + rng.normal(scale=0.2, size=len(jet))
    kind = rng.integers(0, 5, len(jet))
    columns = {
        "px": pt * np.cos(phi),
        "py": pt * np.sin(phi),
        "pz": pt * np.sinh(eta),
        "energy": pt * np.cosh(eta) * 1.0001,
        "charge": np.where(np.isin(kind, (1, 2)), 0, 1),
        **{name: kind == k for k, name in enumerate(KINDS)},
        **{name: rng.normal(scale=0.1, size=len(jet)) for name in ("d0", "dz")},
        **{name: rng.uniform(0, 0.2, len(jet)) for name in ("d0_error", "dz_error")},
    }
    return RawJets(
        {name: values.astype(np.float32) for name, values in columns.items()},
        offsets,
        rng.integers(0, len(CLASSES), jets),
        CLASSES,
    )


def convert(source: Path, out: Path, features: str) -> tuple[float, float]:
    """CPU seconds and largest memory (MB) of the command with one worker: all its processes together."""
    command = [
        sys.executable,
        "-m",
        "jetformer_data",
        "convert",
        str(source),
        str(out),
        "--features",
        features,
    ]
    before = os.times()
    process = subprocess.Popen([*command, "--overwrite"], start_new_session=True, stderr=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _memory_of_group(process.pid))
        time.sleep(0.05)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    after = os.times()
    return (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    ), peak


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "jets.root", Path(folder) / "jets.h5"
        pool = [some_jets(CHUNK, SEED + k) for k in range(4)]
        write_layout((pool[k % len(pool)] for k in range(JETS // CHUNK)), source, "jetclass")
        content = (
            sum(values.nbytes for raw in pool for values in raw.constituents.values())
            * JETS
            / CHUNK
            / len(pool)
        )
        seconds, peak = convert(source, out, "jetclass-17")
        return {
            "root_convert_jets_per_s_per_core": JETS / seconds,
            "convert_peak_rss_mb": peak,
            "convert_jets": JETS,
            "convert_content_mb": content / 1e6,
            "convert_source_file_mb": source.stat().st_size / 1e6,
            "convert_seed": SEED,
        }


def _memory_of_group(group: int) -> float:
    """Resident memory (MB) of all processes of a group; pages of mapped files count."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return total / 1e6


if __name__ == "__main__":
    print(measure())
