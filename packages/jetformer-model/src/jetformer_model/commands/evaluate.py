"""`jetformer-model evaluate`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.table import Table
from safetensors.torch import save_file

from jetformer_data.schema import Reader
from jetformer_data.splitting import file_mask
from jetformer_model import plotting, training
from jetformer_model.bootstrap import COVERAGE, Estimate
from jetformer_model.commands.application import AsJson, DataFile, app, console
from jetformer_model.dataset import open_split
from jetformer_model.errors import ModelError
from jetformer_model.jet_axes import JetAxis, jet_axes
from jetformer_model.performance import RESAMPLES, Performance, measure_performance
from jetformer_model.plots import draw_performance
from jetformer_model.score_files import stored_logits
from jetformer_model.state import load, require_folder


@app.command()
def evaluate(
    state: Annotated[
        Path,
        typer.Argument(help="A state file (.safetensors), or scores (.h5) of the jets, whoever made them."),
    ],
    data: DataFile,
    split: Annotated[str, typer.Option(help="train, validation, test or all.")] = "test",
    logits: Annotated[
        Path | None, typer.Option(help="Also write logits, labels and jet_index (.safetensors).")
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="Also draw pictures into this folder.")] = None,
    resamples: Annotated[
        int, typer.Option(min=0, help="Resamples of the jets that intervals are taken from; 0: none.")
    ] = RESAMPLES,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Accuracy, AUC, background rejection and calibration of any tagger, with intervals of 68 %.

    jetformer-model evaluate tiny.safetensors jets.h5 --plots pictures

    jetformer-model evaluate scores.h5 jets.h5
    """
    if logits is not None:
        require_folder(logits)
    if plots is not None:
        plotting.require_plots()
    answered = (_answers_of_scores if state.suffix == ".h5" else _answers_of_state)(state, data, split)
    if logits is not None:
        arrays = {"logits": answered.logits, "labels": answered.labels, "jet_index": answered.jet_index}
        save_file({name: torch.from_numpy(array) for name, array in arrays.items()}, logits)
    axes = jet_axes(data, split, answered.min_pt_gev)
    if all(axis.name != "jet_pt" for axis in axes):
        typer.echo(f"{data}: jet_pt is not stored, so there are no bins of jet pt", err=True)
    found = measure_performance(
        answered.logits, answered.labels, answered.class_names, axes, resamples=resamples, seed=seed
    )
    if as_json:
        print(json.dumps(found.as_dict(), indent=2))
    else:
        _print(found)
    if plots is not None:
        with plotting.style():
            plotting.save_figures(dict(draw_performance(found, state.stem)), plots)


@dataclass(frozen=True)
class _Answered:
    """logits [jets, classes], labels [jets], jet_index [jets]: the jets of a split, in the order of their file."""

    logits: NDArray[Any]
    labels: NDArray[np.int64]
    jet_index: NDArray[np.int64]
    class_names: tuple[str, ...]
    min_pt_gev: float


def _answers_of_state(state: Path, data: Path, split: str) -> _Answered:
    loaded = load(state)
    jets = open_split(data, split, loaded.inputs, loaded.constituents, loaded.class_names)
    logits = training.predict(loaded.network, jets)
    labels, index = jets.labels.numpy(), jets.index.numpy()
    return _Answered(logits, labels, index, loaded.class_names, loaded.inputs.min_pt_gev)


def _answers_of_scores(scores: Path, data: Path, split: str) -> _Answered:
    with Reader(data) as reader:
        index = np.flatnonzero(file_mask(reader, split))
        labels = reader.per_jet("labels")[index]
        names = reader.read(0, 0).class_names
    logits, class_names, min_pt_gev = stored_logits(scores, index)
    if names != class_names:
        raise ModelError(
            f"{data}: its classes are {', '.join(names)}, those of {scores} {', '.join(class_names)}"
        )
    return _Answered(logits, labels, index, class_names, min_pt_gev)


def _print(found: Performance) -> None:
    e = found.estimates
    overall = Table("jets", f"{len(found.answers.labels):,}")
    for key in ("accuracy", "loss", "auc_macro", "expected_calibration_error"):
        overall.add_row(key, _numbers(e[key], 4))
    for table in (overall, _by_class(found), *(_by_bin(found, axis) for axis in found.axes)):
        console.print(table)
    if found.resamples:
        told = f"[ ]: intervals of {100 * COVERAGE:.0f} %, from {found.resamples} resamples of the jets"
        console.print(told, markup=False)


def _by_class(found: Performance) -> Table:
    e = found.estimates
    table = Table("class", "AUC", "rejection", "at eff.", "against")
    place = {point.name: number for number, point in enumerate(found.points)}
    for k, name in enumerate(found.answers.class_names):
        row = [name, _numbers(e["auc"], 4, k)]
        if name in place:
            point = found.points[place[name]]
            rejection = _numbers(e["rejection_at_working_point"], 1, place[name])
            row += [rejection, f"{100 * point.signal_efficiency:g} %", point.against]
        table.add_row(*row)
    return table


def _by_bin(found: Performance, axis: JetAxis) -> Table:
    accuracy = found.estimates[f"accuracy_in_{axis.name}"]
    table = Table(f"{axis.name}, {axis.unit}" if axis.unit else axis.name, "accuracy")
    for number, (low, high) in enumerate(pairwise(axis.edges)):
        # bins of a count end between whole numbers
        ends = f"{low:,.0f} to {high:,.0f}" if axis.unit else f"{low + 0.5:.0f} to {high - 0.5:.0f}"
        table.add_row(ends, _numbers(accuracy, 4, number))
    return table


def _numbers(estimate: Estimate, digits: int, place: int | tuple[()] = ()) -> str:
    """A value with its interval."""
    parts = (float(part[place]) for part in (estimate.value, estimate.low, estimate.high))
    value, low, high = (_number(part, digits) for part in parts)
    return value if np.isnan(estimate.low).all() else f"{value} [{low}, {high}]"


def _number(value: float, digits: int) -> str:
    return "-" if np.isnan(value) else "infinite" if np.isinf(value) else f"{value:,.{digits}f}"
