"""Training: batches, epochs, early stopping; loss, accuracy and weights that are kept are those of one epoch, the best."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn
from torch.nn import functional

from jetformer_model.augmentation import TurnedJets, planes
from jetformer_model.checkpoint import Checkpoint, MovingParts, fingerprint
from jetformer_model.config import Architecture
from jetformer_model.dataset import Dataset, Jets, TaggingData
from jetformer_model.distributed import ALONE, Process
from jetformer_model.errors import ModelError
from jetformer_model.gradients import Gradients, Loss, cross_entropy
from jetformer_model.network import JetFormer
from jetformer_model.optimisation import Recipe, Schedule, make_optimiser
from jetformer_model.state import Network, State
from jetformer_model.streamed import StreamedData
from jetformer_model.taggers.registry import build
from jetformer_model.training_log import Epoch

__all__ = ["QUIET", "Epoch", "Recipe", "Run", "TrainingResult", "fit", "predict", "train"]

# Constituents, padding included, that are evaluated at once: little memory even where pairs of them are made.
EVALUATION_CONSTITUENTS = 65_536
# Below so many multiply-accumulates a step, threads cost more than they bring; on busy cores up to 10 times more.
SINGLE_THREAD_WORK = 50_000_000


@dataclass(frozen=True)
class Run:
    """Where a training is done and what it leaves on its way, as opposed to the recipe of what is done.

    checkpoint: a file that is written after each epoch and taken up if it is there; the caller removes it in the end
    progress: whether a bar is shown
    title: what the bar, the messages and the checkpoint call the training
    process: where the network is trained, and with which others; it ends on the CPU
    compiled: through torch.compile, which pays for long trainings
    """

    checkpoint: Path | None = None
    progress: bool = False
    title: str = "training"
    process: Process = ALONE
    compiled: bool = False


QUIET = Run()


@dataclass(frozen=True)
class TrainingResult:
    """A trained state and how it came about; loss and accuracy are those of the epoch whose weights are kept."""

    state: State
    history: tuple[Epoch, ...]
    best: Epoch

    @property
    def validation_accuracy(self) -> float:
        """Of the epoch whose weights are kept."""
        return self.best.validation_accuracy


def train(
    data: TaggingData | StreamedData,
    tagger: Architecture | str,
    *,
    sizes: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    augment: bool = False,
    run: Run = QUIET,
    after_epoch: Callable[[Sequence[Epoch]], object] = bool,
) -> TrainingResult:
    """Train a new network on the training split; the same seed gives the same weights on the same machine.

    tagger: the architecture of a JetFormer, or the name of any tagger in `jetformer_model.taggers`, in its published form
    sizes: those of a tagger by name that are not the published ones
    augment: turn and mirror the training jets anew in every epoch, see `jetformer_model.augmentation`
    Other arguments: as of `fit`.
    """
    recipe = recipe or Recipe()
    jets: Jets = data.train
    if augment:
        if not isinstance(data.train, Dataset):
            raise ModelError("augmentation takes jets in memory: one file, not streamed")
        jets = TurnedJets(data.train, planes(data.inputs))
    torch.manual_seed(recipe.seed)
    if isinstance(tagger, Architecture):
        _check(data, tagger)
        network: Network = JetFormer(tagger)
    else:
        network = build(
            tagger,
            data.inputs,
            constituents=data.train.constituents,
            classes=len(data.class_names),
            **(sizes or {}),
        )
    history, best = fit(network, jets, data.validation, recipe, run, after_epoch=after_epoch)
    return TrainingResult(State(network, data.inputs, data.class_names, best.metrics), history, best)


def fit(
    network: nn.Module,
    training: Jets,
    validation: Jets,
    recipe: Recipe,
    run: Run = QUIET,
    *,
    after_epoch: Callable[[Sequence[Epoch]], object] = bool,
    loss: Loss = cross_entropy,
    keep_last: bool = False,
) -> tuple[tuple[Epoch, ...], Epoch]:
    """Train `network(x, mask) -> logits` in place and leave it in evaluation mode with the weights of its best epoch.

    after_epoch: told of all epochs so far, after each
    loss: what training minimises; which epoch is best, the cross-entropy of the validation jets decides
    keep_last: keep the last epoch instead of the best, and stop no sooner
    Raises ModelError if the loss stops being a number, or the GPU's memory is too small.
    """
    process = run.process
    start = _purpose(run.title, recipe, network, training) if run.checkpoint else None
    network.to(process.device)
    training, validation = training.to(process.device), validation.to(process.device)
    if run.compiled:
        network.compile()
    whole = process.wrap(network)
    # Dropout differs between processes; the order of jets does not.
    torch.manual_seed(recipe.seed + process.rank)
    generator = torch.Generator().manual_seed(recipe.seed)
    steps = math.ceil(len(training) / recipe.batch_size) * recipe.epochs
    optimiser = make_optimiser(network, recipe)
    alone_on_gpu = process.world == 1 and process.device.type == "cuda" and not run.compiled
    gradients = Gradients(
        whole, loss, bf16=recipe.precision == "bf16", recorded=recipe.batch_size if alone_on_gpu else 0
    )
    schedule = Schedule(optimiser, recipe, steps)
    moving = MovingParts(network, optimiser, schedule.schedule, generator)
    store = Checkpoint(run.checkpoint, start) if run.checkpoint and start else None
    best_weights, history = (store and store.restore(moving)) or (network.state_dict(), [])
    epochs = [Epoch(**epoch) for epoch in history]
    best = min(epochs[-1:] if keep_last else epochs, key=lambda epoch: epoch.validation_loss, default=None)
    with _suitable_threads(network, training, recipe.batch_size), _progress_bar(run.progress) as bar:
        task = bar.add_task(run.title, total=recipe.epochs, completed=len(epochs), best=float("nan"))
        for number in range(len(epochs) + 1, recipe.epochs + 1):
            if best is not None and number - 1 - best.epoch >= recipe.patience:
                break
            measured = None
            with suppress(torch.cuda.OutOfMemoryError):
                training_loss = _one_epoch(
                    gradients, training, recipe, generator, optimiser, schedule, process
                )
                measured = training_loss, *_loss_and_accuracy(network, validation, process)
            if measured is None:  # only here is the memory free again that the failed step held
                raise ModelError(_memory_advice(run.title, network, training, recipe))
            training_loss, validation_loss, accuracy = measured
            rate = optimiser.param_groups[0]["lr"]
            epochs.append(Epoch(number, training_loss, validation_loss, accuracy, rate))
            if not math.isfinite(training_loss + validation_loss):
                raise ModelError(
                    f"{run.title}: the loss is no number in epoch {number}; try a lower learning rate"
                )
            schedule.after_epoch(validation_loss)
            if best is None or keep_last or validation_loss < best.validation_loss:
                best, best_weights = epochs[-1], copy.deepcopy(network.state_dict())
            if store and process.is_first:
                store.save(moving, best_weights, [dataclasses.asdict(epoch) for epoch in epochs])
            if process.is_first:
                after_epoch(epochs)
            bar.update(task, advance=1, best=100 * best.validation_accuracy)
    assert best is not None
    network.load_state_dict(best_weights)
    network.cpu().eval()
    return tuple(epochs), best


def predict(network: nn.Module, data: Jets) -> NDArray[np.float64]:
    """Logits [jets, classes] float64."""
    return answers(network, data)[0]


@torch.no_grad()
def answers(network: nn.Module, data: Jets) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits [jets, classes] float64 and true labels [jets]."""
    network.eval()
    batches = data.batches(_evaluation_batch(data))
    logits, labels = zip(*((network(x, where).double(), labels) for x, where, labels in batches), strict=True)
    return torch.cat(logits).cpu().numpy(), torch.cat(labels).cpu().numpy()


def _one_epoch(
    gradients: Gradients,
    data: Jets,
    recipe: Recipe,
    generator: torch.Generator,
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    process: Process,
) -> float:
    network = gradients.network.train()
    total, jets = torch.zeros((), dtype=torch.float64, device=process.device), 0
    for x, where, labels in data.batches(recipe.batch_size, generator, process.rank, process.world):
        loss = gradients(x, where, labels)
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
        optimiser.step()
        schedule.after_step()
        total += loss.double() * len(labels)  # on the device: asking for the number would wait for it
        jets += len(labels)
    sum_of_losses, all_jets = process.total(total.item(), jets)
    return sum_of_losses / all_jets


@torch.no_grad()
def _loss_and_accuracy(network: nn.Module, data: Jets, process: Process) -> tuple[float, float]:
    network.eval()
    loss = right = jets = 0.0
    for x, where, labels in data.batches(_evaluation_batch(data), None, process.rank, process.world):
        logits = network(x, where).double()
        loss += functional.cross_entropy(logits, labels, reduction="sum").item()
        right += (logits.argmax(1) == labels).sum().item()
        jets += len(labels)
    loss, right, jets = process.total(loss, right, jets)
    return loss / jets, right / jets


def _evaluation_batch(data: Jets) -> int:
    return max(1, EVALUATION_CONSTITUENTS // data.constituents)


def _memory_advice(title: str, network: nn.Module, data: Jets, recipe: Recipe) -> str:
    """Which batch size would fit where the GPU's memory is too small for that of the recipe."""
    size = recipe.batch_size // 2
    while size and not _fits(network, data, size):
        size //= 2
    advice = f"try a batch size of {size}" if size else "even one jet a step is too much"
    return f"{title}: the GPU's memory is too small for {recipe.batch_size} jets a step; {advice}"


def _fits(network: nn.Module, data: Jets, batch_size: int) -> bool:
    network.zero_grad()
    network.train()
    x, where, labels = next(iter(data.batches(batch_size)))
    try:
        functional.cross_entropy(network(x, where).float(), labels).backward()
    except torch.cuda.OutOfMemoryError:
        return False
    return True


def _purpose(title: str, recipe: Recipe, network: nn.Module, data: Jets) -> dict[str, Any]:
    start = [fingerprint(*network.state_dict().values()), data.fingerprint()]
    return {"title": title, "recipe": dataclasses.asdict(recipe), "start": start}


@contextmanager
def _suitable_threads(network: nn.Module, data: Jets, batch_size: int) -> Iterator[None]:
    before = torch.get_num_threads()
    work = batch_size * (data.constituents + 1) * sum(parameter.numel() for parameter in network.parameters())
    if work < SINGLE_THREAD_WORK:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check(data: TaggingData | StreamedData, architecture: Architecture) -> None:
    expected = (architecture.constituents, architecture.features)
    got = (data.train.constituents, len(data.inputs.features))
    if got != expected:
        raise ModelError(
            f"the architecture expects {expected[0]} constituents x {expected[1]} features, "
            f"the data have {got[0]} x {got[1]}"
        )
    if architecture.classes != len(data.class_names):
        raise ModelError(
            f"the architecture has {architecture.classes} classes, the data {len(data.class_names)}"
        )


def _progress_bar(show: bool) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("epoch {task.completed}/{task.total}, best accuracy {task.fields[best]:.2f} %"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), disable=not show)
