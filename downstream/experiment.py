"""A stored fixed-point network becomes firmware that gives the network's integers: python experiment.py --out build"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from jetformer_data.schema import write
from jetformer_data.testing import example_jets

HERE = Path(__file__).parent
JETS = 12_000  # a tenth of them is the test split, which is what gets verified


def run(*command: str | Path) -> None:
    """One command, shown as a user would type it; stops the script where it fails."""
    print("$", *command, flush=True)
    if status := subprocess.run([str(part) for part in command], check=False).returncode:
        sys.exit(status)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--out", type=Path, default=HERE / "build", help="folder for the jets and the firmware"
    )
    out: Path = options.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    write(out / "jets.h5", example_jets(JETS, seed=1))
    run("jetformer-fpga", "synth", HERE / "network.safetensors", "--out", out / "firmware")
    run("jetformer-fpga", "verify", out / "firmware", "--data", out / "jets.h5")


if __name__ == "__main__":
    main()
