"""The whole path on one page: collisions, jets, a network, a smaller one, a fixed-point one, a circuit, and the proof.

Runs the packages' commands one after the other, as a user would, and writes summary.json and report.html into --out. Stopped
and run again it goes on: a step is done again only if its command or one of its input files has changed.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from report import write_report
from results import Results
from steps import Steps

JETS, EPOCHS, SEED, CLOCK_MHZ = 40_000, 40, 1, 200
STATES = {
    "float": "tiny.safetensors",
    "pruned": "pruned.safetensors",
    "fixed_point": "fixed_point.safetensors",
}


def main() -> None:
    """Run the demo; every size can be changed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/demo"), help="folder for all results")
    parser.add_argument("--jets", type=int, default=JETS, help=f"jets to generate (default {JETS:,})")
    parser.add_argument(
        "--epochs", type=int, default=EPOCHS, help=f"of the first training (default {EPOCHS})"
    )
    parser.add_argument("--seed", type=int, default=SEED, help=f"of jets and trainings (default {SEED})")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes that generate jets"
    )
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    steps = Steps(chosen.out)
    walk(steps, chosen.jets, chosen.epochs, chosen.seed, chosen.workers)
    results = Results(chosen.out, STATES, tuple(steps.done), chosen.seed)
    (chosen.out / "summary.json").write_text(json.dumps(results.summary(), indent=2) + "\n")
    write_report(results, chosen.out / "report.html")
    print(f"\n{results.sentence()}\n\n{chosen.out / 'report.html'}\n{chosen.out / 'summary.json'}")


def walk(steps: Steps, jets: int, epochs: int, seed: int, workers: int) -> None:
    """From collisions to verified firmware."""
    tiny, pruned, fixed_point = STATES.values()
    generate = [
        "jetformer-data",
        "generate",
        "--style",
        "hls4ml",
        "--jets",
        jets,
        "--seed",
        seed,
        "--workers",
        workers,
    ]
    steps.run(
        "Collisions become jets: Pythia 8, a parametric detector, FastJet",
        [*generate, "jets.h5"],
        makes="jets.h5",
    )
    train = ["jetformer-model", "train", "jets.h5", "--preset", "tiny", "--seed", seed, "--epochs", epochs]
    steps.run(
        "A JetFormer-tiny learns to tell them apart",
        [*train, "--learning-rate", 5e-3, "--patience", 10, "--out", tiny],
        makes=tiny,
        needs=["jets.h5"],
    )
    steps.run(
        "Half of the dimensions of its heads and hidden layers are pruned",
        ["jetformer-compress", "prune", tiny, "jets.h5", "--seed", seed, "--out", pruned],
        makes=pruned,
        needs=["jets.h5", tiny],
    )
    steps.run(
        "Every number gets a fixed-point format, and the network trains within them",
        ["jetformer-compress", "quantize", pruned, "jets.h5", "--seed", seed, "--out", fixed_point],
        makes=fixed_point,
        needs=["jets.h5", pruned],
    )
    for name, state in STATES.items():
        steps.run(
            f"The {name.replace('_', '-')} network meets the test jets",
            [
                "jetformer-model",
                "evaluate",
                state,
                "jets.h5",
                "--logits",
                f"{name}.logits.safetensors",
                "--json",
            ],
            makes=f"{name}.json",
            needs=["jets.h5", state],
            keep_output=True,
        )
    steps.run(
        "The fixed-point network becomes a pipelined circuit",
        ["jetformer-fpga", "synth", fixed_point, "--clock-mhz", CLOCK_MHZ, "--out", "firmware"],
        makes="firmware",
        needs=[fixed_point],
    )
    steps.run(
        "The circuit answers with the network's integers, a new jet every clock",
        ["jetformer-fpga", "verify", "firmware", "--data", "jets.h5", "--split", "test"],
        makes="firmware/verification.json",
        needs=["jets.h5", fixed_point],
    )


if __name__ == "__main__":
    main()
