"""The training log: one line an epoch."""

from __future__ import annotations

import csv
import dataclasses
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Epoch:
    """One line of the training log; losses are mean cross-entropies, the learning rate is the epoch's last."""

    epoch: int
    training_loss: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float

    @property
    def metrics(self) -> dict[str, float]:
        """What a state file says of the weights of this epoch."""
        return {"validation_loss": self.validation_loss, "validation_accuracy": self.validation_accuracy}


def write_history(path: Path, history: tuple[Epoch, ...]) -> None:
    """The training log as CSV, one line an epoch."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Epoch)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(epoch) for epoch in history)
