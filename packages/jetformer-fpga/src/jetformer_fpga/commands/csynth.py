"""`jetformer-fpga csynth`."""

from __future__ import annotations

from .. import csynth as synthesis
from .application import Again, AsJson, Firmware, app, show_rows, task


@app.command()
def csynth(folder: Firmware, again: Again = False, as_json: AsJson = False) -> None:
    """Latency and resources of a project's C++, as Vitis HLS from PATH estimates them.

    jetformer-fpga csynth firmware
    """
    found = synthesis.synthesise(folder, again=again, task=task)
    show_rows("C synthesis", found, synthesis.rows(found), as_json)
