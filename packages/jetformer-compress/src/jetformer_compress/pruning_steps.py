"""What a pruning keeps in a folder, so that a kill at any moment loses at most one epoch.

step1.safetensors    the state cut at step 1; after fine-tuning, the fine-tuned one
step1.partial        the last whole epoch of its fine-tuning
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jetformer_compress.errors import CompressError
from jetformer_compress.pruning_plan import Pruning
from jetformer_model.checkpoint import fingerprint
from jetformer_model.dataset import TaggingData
from jetformer_model.network import JetFormer
from jetformer_model.state import State, load, save
from jetformer_model.training import Epoch, Recipe

KEY = "pruning_step"


@dataclass(frozen=True)
class Step:
    """One step: the network that it left, and the epochs of its fine-tuning, if that is done."""

    number: int
    network: JetFormer
    history: tuple[Epoch, ...] = ()

    @property
    def fine_tuned(self) -> bool:
        """Whether the network is as the step leaves it."""
        return bool(self.history)


class Steps:
    """The steps of one pruning in a folder; None: nothing is kept."""

    def __init__(
        self, folder: Path | None, state: State, data: TaggingData, pruning: Pruning, recipe: Recipe
    ) -> None:
        self.folder, self.state = folder, state
        self.purpose = {
            "pruning": dataclasses.asdict(pruning),
            "recipe": dataclasses.asdict(recipe),
            "network": fingerprint(*state.network.state_dict().values()),
            "jets": data.train.fingerprint(),
        }
        if folder:
            try:
                folder.mkdir(exist_ok=True)
            except OSError as error:
                raise CompressError(
                    f"{folder}: cannot be made a folder for what is done so far ({error})"
                ) from error

    def checkpoint(self, number: int) -> Path | None:
        """The file of a step's epochs."""
        return self.folder and self.folder / f"step{number}.partial"

    def keep(self, step: Step) -> Step:
        """Write the step's state; once it is fine-tuned, its epochs are needed no more. Returns the step."""
        if self.folder is None:
            return step
        fact: dict[str, Any] = {"purpose": self.purpose, "number": step.number}
        fact["history"] = [dataclasses.asdict(epoch) for epoch in step.history]
        provenance = self.state.provenance | {KEY: fact}
        save(
            self._path(step.number),
            dataclasses.replace(self.state, network=step.network, provenance=provenance),
        )
        checkpoint = self.checkpoint(step.number)
        if step.fine_tuned and checkpoint:
            checkpoint.unlink(missing_ok=True)
        return step

    def found(self, number: int) -> Step | None:
        """What is kept of a step. Raises CompressError if another pruning has left it."""
        if self.folder is None or not self._path(number).exists():
            return None
        state = load(self._path(number))
        fact = state.provenance.get(KEY, {})
        if not same(fact.get("purpose"), self.purpose):
            raise CompressError(
                f"{self.folder}: was left by a pruning with other settings, network or jets; "
                "finish it with those, or remove it"
            )
        assert isinstance(state.network, JetFormer)
        return Step(number, state.network, tuple(Epoch(**epoch) for epoch in fact["history"]))

    def _path(self, number: int) -> Path:
        assert self.folder is not None
        return self.folder / f"step{number}.safetensors"


def same(stored: Any, ours: Any) -> bool:
    """Whether they are equal as JSON, which knows no tuples."""
    return json.dumps(stored, sort_keys=True) == json.dumps(ours, sort_keys=True)
