"""`jetformer-fpga report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import report as reports
from .application import Firmware, app, task


@app.command()
def report(
    folder: Firmware,
    out: Annotated[Path, typer.Option(help="The page (.html); the same as JSON goes beside it.")],
) -> None:
    """One page about a firmware project: latency, resources, verification, waveform, bit widths, versions.

    jetformer-fpga report firmware --out report.html
    """
    with task("layers") as progress:
        reports.write(folder, out, progress)
    print(f"{out}, {out.with_suffix('.json')}")
