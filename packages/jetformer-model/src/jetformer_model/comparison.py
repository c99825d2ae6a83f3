"""Taggers trained and scored alike: same jets, same inputs, same recipe, same loop; several seeds each.

Each training leaves its state, its log and, once it is scored on the test split, its results in a folder; what is there
is not made again, so a comparison that was stopped goes on, and one can be extended.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from jetformer_data.filesets import find_files
from jetformer_model import training
from jetformer_model.dataset import Jets, file_sha256
from jetformer_model.distributed import Process
from jetformer_model.errors import ModelError
from jetformer_model.optimisation import Recipe
from jetformer_model.performance import measure_performance
from jetformer_model.state import load, save
from jetformer_model.streamed import test_jets, training_data
from jetformer_model.taggers import flops, parameters
from jetformer_model.training_log import write_history

RESAMPLES = 50
SPEED_BATCH, SPEED_REPEATS = 1024, 5


@dataclass(frozen=True)
class Conditions:
    """What all trainings of a comparison have in common."""

    data: tuple[Path, ...]
    features: tuple[str, ...]
    min_pt_gev: float
    recipe: Recipe
    device: str = "cpu"

    def as_dict(self) -> dict[str, Any]:
        """As stored beside the results; the device and the seeds may vary."""
        recipe = dataclasses.asdict(self.recipe)
        del recipe["seed"]
        hashes = [file_sha256(path) for path in find_files(self.data)]
        return {
            "data_sha256": hashes,
            "features": list(self.features),
            "min_pt_gev": self.min_pt_gev,
            "recipe": recipe,
        }


@dataclass(frozen=True, order=True)
class Entry:
    """One training: a tagger of the registry, the constituents it sees, a seed."""

    constituents: int
    tagger: str
    seed: int

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.tagger}-{self.constituents}-{self.seed}"


@dataclass(frozen=True)
class Comparison:
    """Trainings under the same conditions, kept in a folder.

    Raises ModelError if the folder holds a comparison under other conditions.
    """

    conditions: Conditions
    folder: Path

    def __post_init__(self) -> None:
        kept, now = self.folder / "conditions.json", self.conditions.as_dict()
        (self.folder / "runs").mkdir(parents=True, exist_ok=True)
        if not kept.exists():
            kept.write_text(json.dumps(now, indent=1))
        elif (before := json.loads(kept.read_text())) != now:
            different = ", ".join(key for key in now if before.get(key) != now[key])
            raise ModelError(f"{self.folder}: holds a comparison with other {different}; give another folder")

    def run(self, entries: Sequence[Entry], jobs: int = 1) -> Iterator[tuple[Entry, dict[str, Any]]]:
        """Train and score what is not there yet, `jobs` at a time; yields each entry with its results when it is done."""
        missing = [entry for entry in entries if not self._results(entry).exists()]
        for entry in entries:
            if entry not in missing:
                yield entry, json.loads(self._results(entry).read_text())
        if jobs == 1:
            for entry in missing:
                yield entry, self._make(entry)
            return
        # a fresh interpreter each: a fork would inherit the threads of PyTorch
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context, _one_thread) as pool:
            waiting = {pool.submit(self._make, entry): entry for entry in missing}
            try:
                for done in as_completed(waiting):
                    yield waiting[done], done.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _make(self, entry: Entry) -> dict[str, Any]:
        c, state_path = self.conditions, self._file(entry, "safetensors")
        if not state_path.exists():
            data = training_data(
                c.data, constituents=entry.constituents, features=c.features, min_pt_gev=c.min_pt_gev
            )
            partial = self._file(entry, "partial")
            result = training.train(
                data,
                entry.tagger,
                recipe=dataclasses.replace(c.recipe, seed=entry.seed),
                run=training.Run(partial, title=entry.name, process=Process(device=torch.device(c.device))),
            )
            write_history(self._file(entry, "csv"), result.history)
            save(state_path, dataclasses.replace(result.state, provenance=c.as_dict() | {"seed": entry.seed}))
            partial.unlink(missing_ok=True)
        found = self._score(state_path)
        temporary = self._results(entry).with_suffix(".tmp")
        temporary.write_text(json.dumps(found, indent=1))
        os.replace(temporary, self._results(entry))
        return found

    def _score(self, state_path: Path) -> dict[str, Any]:
        network, jets, class_names = self._ready(state_path)
        logits, labels = training.answers(network, jets)
        performance = measure_performance(logits, labels, class_names, resamples=RESAMPLES)
        return performance.as_dict() | {"parameters": parameters(network), "flops": flops(network)}

    def speed(self, entry: Entry) -> float:
        """Jets a second, eager, in batches of at most 1,024 test jets; the median of five."""
        network, jets, _ = self._ready(self._file(entry, "safetensors"))
        x, mask, labels = next(iter(jets.batches(SPEED_BATCH)))
        return len(labels) / statistics.median(_seconds(network, x, mask) for _ in range(SPEED_REPEATS))

    def _ready(self, state_path: Path) -> tuple[Any, Jets, tuple[str, ...]]:
        """A trained network and the test jets on the device, and the names of the classes."""
        state, device = load(state_path), torch.device(self.conditions.device)
        jets = test_jets(self.conditions.data, state.inputs, state.constituents, state.class_names)
        return state.network.to(device), jets.to(device), state.class_names

    def _file(self, entry: Entry, ending: str) -> Path:
        return self.folder / "runs" / f"{entry.name}.{ending}"

    def _results(self, entry: Entry) -> Path:
        return self._file(entry, "json")


def _one_thread() -> None:
    torch.set_num_threads(1)


@torch.no_grad()
def _seconds(network: nn.Module, x: Tensor, mask: Tensor) -> float:
    begin = time.perf_counter()
    network(x, mask)
    if x.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - begin
