"""Size on disk and test accuracy of the 150-particle network in float32 and with one-bit weights.

    JETFORMER_BENCH_TAGGING_JETS=jets.h5 python ci/bench.py compress one_bit

By the commands `jetformer-model train` and `jetformer-compress binarize`, the latter from scratch by its own recipe; jets,
folder and `error` as in pruned.py. On a CPU 8 constituents and few epochs, which is a test of the benchmark and no figure.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pruned import FOLDER, FULL, TRAIN, conditions, jets_file, make, mean_and_error, side_by_side

from jetformer_model.state import load

SIZES, SEEDS = ((8, 16, 32), 3) if FULL else ((8,), 1)
FEW = () if FULL else ("--epochs", 5)


def one(path: Path, constituents: int, seed: int) -> dict[str, Any]:
    """Train both networks."""
    before, after = (
        FOLDER / f"150p-{constituents}-{name}-seed{seed}.safetensors" for name in ("float", "one-bit")
    )
    shape = ("--preset", "150p", "--constituents", constituents, "--seed", seed)
    make(before, "jetformer_model", "train", path, *shape, *(FEW or TRAIN))
    make(after, "jetformer_compress", "binarize", before, path, *FEW, "--seed", seed)
    sizes = {
        f"kb_{name}": file.stat().st_size / 1024 for name, file in (("before", before), ("after", after))
    }
    test: dict[str, Any] = load(after).provenance["binarize"]["test"]
    return {"test": test, **sizes}


def measure() -> dict[str, Any]:
    path = jets_file()
    entries = [(constituents, seed) for constituents in SIZES for seed in range(SEEDS)]
    done = side_by_side([lambda p=number, s=seed: one(path, p, s) for number, seed in entries])
    rows = []
    for constituents in SIZES:
        found = [result for (other, _), result in zip(entries, done, strict=True) if other == constituents]
        row = {"constituents": constituents, **{key: found[0][key] for key in ("kb_before", "kb_after")}}
        rows.append(row | mean_and_error([result["test"] for result in found]))
        print(f"  {rows[-1]}", flush=True)
    return {
        "one_bit": rows,
        "one_bit_conditions": conditions(path, FOLDER.glob("150p-*-float-*.safetensors")) | {"seeds": SEEDS},
    }
