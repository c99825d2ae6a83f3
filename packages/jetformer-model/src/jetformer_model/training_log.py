"""The training log: one line an epoch, as CSV and, where asked for, for TensorBoard."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jetformer_model.errors import ModelError


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


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """The training log as CSV, one line an epoch."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Epoch)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(epoch) for epoch in history)


def tensorboard_log(folder: Path) -> Callable[[Sequence[Epoch]], None]:
    """A function that, told of all epochs so far, writes the last of them for TensorBoard.

    Raises ModelError if TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ModelError(
            "TensorBoard is not installed: pip install 'jetformer-model[tensorboard]'"
        ) from error
    writer = SummaryWriter(str(folder))

    def write(history: Sequence[Epoch]) -> None:
        epoch = dataclasses.asdict(history[-1])
        number = epoch.pop("epoch")
        for name, value in epoch.items():
            writer.add_scalar(name, value, number)
        writer.flush()

    return write
