"""`jetformer-fpga rate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .. import rates
from .application import AsJson, app, words_of


@app.command()
def rate(
    scores: Annotated[Path, typer.Argument(help="Scores (.h5) that `emulate --out` wrote.")],
    signal: Annotated[str, typer.Option(help="Classes to keep, with commas between them.")],
    background: Annotated[str, typer.Option(help="Classes that crossings hold otherwise.")],
    jets_per_crossing: Annotated[int, typer.Option(help="Background jets in every bunch crossing.")],
    crossing_mhz: Annotated[float, typer.Option(help="Bunch crossings, in MHz.")] = rates.CROSSING_MHZ,
    efficiencies: Annotated[str, typer.Option(help="Signal efficiencies to tell the rate at.")] = ",".join(
        f"{efficiency:g}" for efficiency in rates.EFFICIENCIES
    ),
    plot: Annotated[Path | None, typer.Option(help="Also draw rate against efficiency.")] = None,
    as_json: AsJson = False,
) -> None:
    """Accept rate of a trigger against its signal efficiency, for the scores of the firmware itself.

    jetformer-fpga rate scores.h5 --signal t --background g,q --jets-per-crossing 4 --plot rate.svg
    """
    found = rates.rates_of(
        scores,
        words_of(signal, str),
        words_of(background, str),
        jets_per_crossing=jets_per_crossing,
        crossing_mhz=crossing_mhz,
        efficiencies=[float(word) for word in words_of(efficiencies, float)],
    )
    if plot is not None:
        rates.plot(found, plot)
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        Console().print(_table(found))


def _table(found: rates.Rates) -> Table:
    crossings = f"{found.crossing_mhz:g} MHz of crossings, {found.jets_per_crossing} background jets in each"
    signal, background = ", ".join(found.signal), ", ".join(found.background)
    jets = f"{found.signal_jets:,} jets of {signal}, {found.background_jets:,} of {background}"
    columns = ("signal efficiency", "background efficiency", "rate, kHz", "background jets behind it")
    table = Table(*columns, title=f"Trigger at {crossings}", caption=jets)
    for p in found.points:
        rate = (
            f"{p.rate_khz:,.0f} +- {p.rate_error_khz:,.0f}"
            if p.background_passed
            else f"below {p.rate_error_khz:,.0f}"
        )
        numbers = (
            f"{p.signal_efficiency:.3f}",
            f"{p.background_efficiency:.2e}",
            rate,
            f"{p.background_passed:,}",
        )
        table.add_row(*numbers)
    return table
