"""`jetformer-fpga route`."""

from __future__ import annotations

from .. import routing
from .application import Again, AsJson, Firmware, app, show_rows, task


@app.command()
def route(folder: Firmware, again: Again = False, as_json: AsJson = False) -> None:
    """Place and route a project with Vivado from PATH: resources, and the clock that it reaches.

    jetformer-fpga route firmware
    """
    found = routing.route(folder, again=again, task=task)
    show_rows("Placed and routed", found, routing.rows(found), as_json)
