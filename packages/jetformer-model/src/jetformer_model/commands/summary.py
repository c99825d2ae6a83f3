"""`jetformer-model summary`."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from rich.table import Table

from jetformer_model.commands.application import AsJson, StateFile, app, console
from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.layers import Layer, layers
from jetformer_model.state import State, load
from jetformer_model.taggers.counting import flops, parameters


@app.command()
def summary(model: StateFile, as_json: AsJson = False) -> None:
    """Layers with shapes, parameters and FLOPs (1 multiply-accumulate = 1 FLOP, of one full jet), inputs and origin.

    jetformer-model summary tiny.safetensors

    A fixed-point state has no table of layers: its norms are folded, its parameters and FLOPs are those of the float form.
    """
    state = load(model)
    found = summarise(state)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    title = f"{state.name}, {state.kind}: {found['parameters']:,} parameters, {found['flops']:,} FLOPs"
    if found["layers"]:
        console.print(_layer_table(title, found["layers"]))
    else:
        console.print(title)
    console.print(_input_table(state))
    for name in ("class_names", "metrics", "provenance"):
        value = found[name]
        console.print(
            f"{name}: {', '.join(value) if isinstance(value, list) else json.dumps(value)}", markup=False
        )


def summarise(state: State) -> dict[str, Any]:
    """What a state holds, for JSON; the layers' parameters and FLOPs add up to the totals."""
    table: list[Layer] = []
    if isinstance(state.network, FixedPointNetwork):
        totals = parameters(state.float_form), flops(state.float_form)
    else:
        table = layers(state.network)
        totals = sum(layer.parameters for layer in table), sum(layer.flops for layer in table)
    return {
        "tagger": state.name,
        "kind": state.kind,
        "parameters": totals[0],
        "flops": totals[1],
        "constituents": state.constituents,
        "layers": [dataclasses.asdict(layer) for layer in table],
        "inputs": dataclasses.asdict(state.inputs),
        "class_names": list(state.class_names),
        "metrics": state.metrics,
        "provenance": state.provenance,
    }


def _layer_table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table("layer", "kind", title=title)
    for column in ("output", "parameters", "FLOPs"):
        table.add_column(column, justify="right")
    for row in rows:
        shape = " x ".join(map(str, row["shape"])) if row["shape"] else "-"
        table.add_row(
            row["name"] or "(whole)", row["kind"], shape, f"{row['parameters']:,}", f"{row['flops']:,}"
        )
    return table


def _input_table(state: State) -> Table:
    inputs = state.inputs
    table = Table(
        "feature", "unit", title=f"{state.constituents} constituents from {inputs.min_pt_gev:g} GeV"
    )
    for column in ("mean", "std"):
        table.add_column(column, justify="right")
    for name, unit, mean, std in zip(inputs.features, inputs.units, inputs.mean, inputs.std, strict=True):
        table.add_row(name, unit, f"{mean:.6g}", f"{std:.6g}")
    return table
