"""`jetformer-model explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from jetformer_model import plotting
from jetformer_model.commands.application import AsJson, DataFile, StateFile, app, console
from jetformer_model.dataset import Dataset, open_split
from jetformer_model.errors import ModelError
from jetformer_model.explanation import (
    JetAttention,
    attention_of_jets,
    first_of_each_class,
    without_attention,
)
from jetformer_model.explanation_plots import draw_attention, draw_importance
from jetformer_model.importance import Importance, permutation_importance
from jetformer_model.state import State, load


@app.command()
def explain(
    state: StateFile,
    data: DataFile,
    split: Annotated[str, typer.Option(help="train, validation, test or all.")] = "test",
    jets: Annotated[
        str, typer.Option(help="Look at these: positions in the split, separated by commas.")
    ] = "",
    per_class: Annotated[int, typer.Option(min=0, help="Or at the first so many of each class.")] = 1,
    block: Annotated[
        int | None, typer.Option(help="Attention of this block, from 0; the last if not given.")
    ] = None,
    head: Annotated[int | None, typer.Option(help="And of this head, from 0; the mean if not given.")] = None,
    repeats: Annotated[
        int, typer.Option(min=0, help="Permutations of a feature for its importance; 0: leave that out.")
    ] = 5,
    most: Annotated[int, typer.Option(min=2, help="Jets for the importance, at most.")] = 5_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the permutations.")] = 1,
    plots: Annotated[Path | None, typer.Option(help="Draw pictures into this folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """What a network looks at: attention of the class token in single jets, and the importance of features.

    jetformer-model explain tiny.safetensors jets.h5 --plots pictures
    """
    if plots is not None:
        plotting.require_plots()
    loaded = load(state)
    opened = open_split(data, split, loaded.inputs, loaded.constituents, loaded.class_names)
    chosen = _positions(jets) or first_of_each_class(opened.labels, per_class)
    attention = _attention(loaded, opened, chosen, block, head) if chosen else []
    importance = _importance(loaded, opened.head(most), repeats, seed) if repeats else []
    if as_json:
        print(json.dumps(_plain(attention, importance), indent=2))
    else:
        _print(attention, importance)
    if plots is not None:
        _draw(attention, importance, state.stem, plots)


def _positions(words: str) -> list[int]:
    try:
        return [int(word) for word in words.split(",")] if words else []
    except ValueError as error:
        raise ModelError(f"jets {words!r}: expected positions separated by commas, such as 0,5,17") from error


def _attention(
    state: State, jets: Dataset, chosen: list[int], block: int | None, head: int | None
) -> list[JetAttention]:
    """Nothing, and a sentence on standard error, where a network has no attention to look at."""
    if reason := without_attention(state.network):
        typer.echo(f"jetformer-model: {reason}", err=True)
        return []
    return attention_of_jets(state, jets, chosen, block, head)


def _importance(state: State, jets: Dataset, repeats: int, seed: int) -> list[Importance]:
    features = state.inputs.features
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("permuting features", total=len(features))
        return permutation_importance(
            state.network,
            jets,
            features,
            repeats=repeats,
            seed=seed,
            after_each=lambda _: bar.advance(task),
        )


def _plain(attention: list[JetAttention], importance: list[Importance]) -> dict[str, Any]:
    return {
        "attention": [jet.as_dict() for jet in attention],
        "importance": {one.feature: {"drop": one.drop, "error": one.error} for one in importance},
    }


def _print(attention: list[JetAttention], importance: list[Importance]) -> None:
    if attention:
        table = Table("jet", "class", "taken for", "attention: to itself", "most to one constituent")
        for jet in attention:
            table.add_row(
                str(jet.jet),
                jet.label,
                f"{jet.prediction} ({100 * jet.probability:.0f} %)",
                f"{100 * jet.own:.1f} %",
                _strongest(jet),
            )
        console.print(table)
    if importance:
        table = Table("feature", "accuracy lost when permuted")
        for one in sorted(importance, key=lambda one: -one.drop):
            table.add_row(one.feature, f"{one.drop:.4f} ± {one.error:.4f}")
        console.print(table)


def _strongest(jet: JetAttention) -> str:
    if not len(jet.attention):
        return "no constituents"
    share, place = jet.attention.max(0)
    return f"{100 * share:.1f} %, of {jet.pt[place]:.0f} GeV"


def _draw(attention: list[JetAttention], importance: list[Importance], title: str, folder: Path) -> None:
    with plotting.style():
        figures = {}
        if attention:
            figures["attention"] = draw_attention(attention, title)
        if importance:
            figures["importance"] = draw_importance(importance, title)
        plotting.save_figures(figures, folder)
