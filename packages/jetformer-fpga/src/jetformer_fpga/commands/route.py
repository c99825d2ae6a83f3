"""`jetformer-fpga route`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .. import routing
from .application import AsJson, Firmware, app, task


@app.command()
def route(
    folder: Firmware,
    again: Annotated[
        bool, typer.Option("--again", help="Also where the same was routed before and nothing was changed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Place and route the circuit with Vivado from PATH: resources, and the clock it reaches.

    jetformer-fpga route firmware
    """
    found = routing.route(folder, again=again, task=task)
    if as_json:
        print(json.dumps(found, indent=1))
        return
    table = Table("quantity", "value", "source", title="Placed and routed")
    for row in routing.rows(found):
        table.add_row(*row)
    Console().print(table)
