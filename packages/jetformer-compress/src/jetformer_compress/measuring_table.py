"""Measurements as a table for a terminal, as CSV and as a picture."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from jetformer_compress.measuring import Measured, Time
from jetformer_data.looking.panels import COLOURS
from jetformer_model.plotting import new_figure, style

KB = 1024


def as_table(rows: Sequence[Measured]) -> Table:
    """A column for each network."""
    table = Table("", *(row.name for row in rows))
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("kind", *(row.kind for row in rows))
    table.add_row("FLOPs", *(f"{row.flops:,}" for row in rows))
    table.add_row("parameters", *(f"{row.parameters:,}" for row in rows))
    table.add_row("size on disk, KB", *(f"{row.bytes / KB:.1f}" for row in rows))
    if any(row.accuracy for row in rows):
        table.add_row("test accuracy, %", *(_percent(row.accuracy) for row in rows))
    table.add_section()
    for times in zip(*(row.times for row in rows), strict=True):
        heading = f"{times[0].device}, {times[0].batch:,} jets, ms"
        table.add_row(heading, *(f"{1e3 * one.seconds:.3g}" for one in times))
    return table


def write_csv(rows: Iterable[Measured], path: Path) -> None:
    """A line for each network, device and batch size."""
    facts = ("network", "kind", "flops", "parameters", "bytes", "accuracy", "accuracy_low", "accuracy_high")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*facts, "device", "batch", "median_seconds", "runs"))
        for row in rows:
            accuracy = (row.accuracy["accuracy"], *row.accuracy["interval"]) if row.accuracy else ("", "", "")
            values = (row.name, row.kind, row.flops, row.parameters, row.bytes, *accuracy)
            writer.writerows((*values, one.device, one.batch, one.seconds, one.runs) for one in row.times)


def draw(rows: Sequence[Measured], path: Path) -> None:
    """Left: accuracy against size on disk, or FLOPs where no accuracy is known; right: time a jet against batch size."""
    with style():
        figure = new_figure(15, 6.5)
        left, right = figure.subplots(1, 2)
        for row, colour in zip(rows, itertools.cycle(COLOURS), strict=False):
            _draw_cost(left, row, colour)
            for (device, times), line in zip(_by_device(row.times), ("-", "--", ":"), strict=False):
                _draw_times(right, times, colour, line, f"{row.name}, {device}")
        left.set_xlabel("Size on disk (KB)")
        left.set_ylabel("Test accuracy (%)" if any(row.accuracy for row in rows) else "FLOPs a jet")
        sizes = [row.bytes for row in rows]
        left.set_xscale("log" if max(sizes) > 5 * min(sizes) else "linear")
        left.margins(x=0.3, y=0.15)
        right.set_xlabel("Jets a batch")
        right.set_ylabel("Median time a jet (µs)")
        right.set_xscale("log")
        right.set_yscale("log")
        right.legend(fontsize=13, frameon=False)
        for axes in (left, right):
            axes.grid(alpha=0.3)
        figure.savefig(path, dpi=100)


def _draw_cost(axes: Any, row: Measured, colour: str) -> None:
    height, error = float(row.flops), None
    if row.accuracy:
        height, (low, high) = 100 * row.accuracy["accuracy"], (100 * one for one in row.accuracy["interval"])
        error = [[max(height - low, 0)], [max(high - height, 0)]]
    axes.errorbar([row.bytes / KB], [height], error, color=colour, marker="o", markersize=9, capsize=3)
    label = f"{row.name}\n{row.flops:,} FLOPs"
    axes.annotate(
        label, (row.bytes / KB, height), (8, 8), textcoords="offset points", fontsize=12, color=colour
    )


def _draw_times(axes: Any, times: Sequence[Time], colour: str, line: str, label: str) -> None:
    axes.plot(
        [one.batch for one in times],
        [one.microseconds_a_jet for one in times],
        line,
        color=colour,
        marker="o",
        label=label,
    )


def _by_device(times: Iterable[Time]) -> list[tuple[str, list[Time]]]:
    return [(device, list(group)) for device, group in itertools.groupby(times, key=lambda one: one.device)]


def _percent(accuracy: dict[str, Any] | None) -> str:
    if accuracy is None:
        return "-"
    low, high = accuracy["interval"]
    return f"{100 * accuracy['accuracy']:.2f}\n({100 * low:.2f} to {100 * high:.2f})"
