"""Commands that write files of jets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jetformer_data.commands.application import AsJson, app, one_sentence, progress_bar
from jetformer_data.errors import DataError

if TYPE_CHECKING:
    from jetformer_data.shards import Outcome
    from jetformer_data.workers import Backend

Out = Annotated[Path, typer.Argument(help="The file to write.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a finished file.")]
DaskAddress = Annotated[
    str | None, typer.Option("--dask", help="Address of a Dask scheduler that makes the shards instead.")
]
Share = Annotated[
    str | None,
    typer.Option(help="I/N: make only the I-th of N parts of the shards, for jobs of a batch system."),
]


@app.command()
def generate(
    out: Out,
    jets: Annotated[int, typer.Option(help="Number of jets, over all classes.")] = 10_000,
    style: Annotated[str, typer.Option(help="Which public set to imitate: hls4ml or jetclass.")] = "hls4ml",
    features: Annotated[
        str | None, typer.Option(help="Feature set, see 'convert'; that of the style if not given.")
    ] = None,
    substructure: Annotated[
        bool, typer.Option("--substructure", help="Add soft-drop mass and N-subjettiness, a tenth slower.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Same seed, same jets, whatever the number of workers.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes to use, about 190 MB each.")] = 1,
    dask: DaskAddress = None,
    share: Share = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Simulate collisions, a detector and jets. When it was interrupted, the same command goes on.

    jetformer-data generate --style hls4ml --jets 10000 --seed 1 --workers 2 jets.h5
    """
    from jetformer_data import generation

    with one_sentence(), progress_bar(jets) as advance:
        outcome = generation.generate(
            *(out, jets, seed, style, features, substructure),
            *(_backend(workers, dask), overwrite, advance, _share(share)),
        )
    _tell(outcome, as_json)


@app.command()
def convert(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Files, folders, globs or tar archives; the last is the file to write."),
    ],
    features: Annotated[
        str,
        typer.Option(
            help="hls4ml-3, hls4ml-16, jetclass-17, jetclass-kin, p4-7, particles, or module:NAME of your own."
        ),
    ] = "hls4ml-3",
    max_constituents: Annotated[
        int | None, typer.Option(help="Constituents a jet at most, by falling pt; all if not given.")
    ] = None,
    min_pt: Annotated[float, typer.Option(help="Drop constituents below, GeV.")] = 0.0,
    classes: Annotated[
        str | None,
        typer.Option(help="Classes to keep, in this order, separated by commas; all if not given."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes to use.")] = 1,
    dask: DaskAddress = None,
    share: Share = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Convert files of HLS4ML, JetClass, JetClass-II or four-vectors. When it was interrupted, the same command goes on.

    jetformer-data convert 'JetClass/*.root' jets.h5 --features jetclass-17 --workers 2
    """
    from jetformer_data import conversion

    with one_sentence(), progress_bar() as advance:
        if len(sources) < 2:
            raise DataError("convert: expected one source or more, and the file to write")
        *given, out = sources
        outcome = conversion.convert(
            *(list(given), out, features, max_constituents, min_pt, _names(classes)),
            *(_backend(workers, dask), overwrite, advance, _share(share)),
        )
    _tell(outcome, as_json)


@app.command()
def export(
    source: Annotated[Path, typer.Argument(help="A file of jets, of any kind that can be read.")],
    out: Annotated[Path, typer.Argument(help="A folder for hls4ml, a ROOT file for jetclass.")],
    layout: Annotated[str, typer.Option(help="hls4ml or jetclass.")],
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Write jets in a published layout, for programs that read the public sets.

    jetformer-data export jets.h5 folder --layout hls4ml
    """
    from jetformer_data.layouts import write_layout
    from jetformer_data.sources import open_source

    with one_sentence(), open_source(source) as opened, progress_bar(len(opened)) as advance:

        def chunks() -> Any:
            done = 0
            for raw in opened.chunks(5_000):
                yield raw
                done += len(raw)
                advance(done)

        written = write_layout(chunks(), out, layout, overwrite)
    if as_json:
        paths = [str(path) for path in written.paths]
        typer.echo(
            json.dumps(
                {"paths": paths, "jets": written.jets, "absent": written.absent, "dropped": written.dropped}
            )
        )
        return
    typer.echo(f"{out}: {written.jets:,} jets in {len(written.paths)} file(s)", err=True)
    _tell_dropped(written.dropped)
    if written.absent:
        typer.echo(f"zero, since unknown: {', '.join(written.absent)}", err=True)


def _backend(workers: int, dask: str | None) -> Backend:
    from jetformer_data.workers import Processes

    if dask is None:
        return Processes(workers)
    from jetformer_data.cluster import Dask

    return Dask(dask)


def _share(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    number, _, shares = text.partition("/")
    if not (number.isdigit() and shares.isdigit()):
        raise DataError(f"share '{text}': expected I/N, such as 3/8")
    return int(number), int(shares)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _tell(outcome: Outcome, as_json: bool) -> None:
    rate = outcome.jets / outcome.cpu_seconds if outcome.cpu_seconds and not outcome.reused else None
    dropped = outcome.provenance.get("dropped", {})
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "path": str(outcome.path),
                    "is_merged": outcome.is_merged,
                    "jets": outcome.jets,
                    "reused": outcome.reused,
                    "dropped": dropped,
                    "seconds": outcome.seconds,
                    "cpu_seconds": outcome.cpu_seconds,
                    "jets_per_cpu_second": rate,
                }
            )
        )
    elif not outcome.seconds:
        typer.echo(
            f"{outcome.path}: is complete already ({outcome.jets:,} jets); pass --overwrite to make it again",
            err=True,
        )
    else:
        pace = f", {rate:,.0f} jets per CPU second" if rate else f", {outcome.reused:,} from an earlier run"
        rest = "" if outcome.is_merged else "; this share is done, the command without --share merges all"
        typer.echo(f"{outcome.path}: {outcome.jets:,} jets in {outcome.seconds:.0f} s{pace}{rest}", err=True)
        _tell_dropped(dropped)


def _tell_dropped(dropped: dict[str, int]) -> None:
    for reason, number in dropped.items():
        if number:
            typer.echo(f"left out: {number:,} {reason}", err=True)
