"""Options of a command in a TOML file: `--write-config FILE` writes those in force, `--config FILE` takes them up.

The keys are the names of the options; what stands on the command line wins.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import tomli_w
import typer

from jetformer_model.errors import ModelError

NOT_KEPT = ("config", "write_config", "as_json", "help")


def options(context: typer.Context) -> dict[str, Any]:
    """The options in force, by name, as plain values; those that are not set are left out."""
    values = {key: context.params[parameter] for key, parameter in _kept(context).items()}
    return {key: _plain(value) for key, value in values.items() if value is not None}


def write_configuration(path: Path, context: typer.Context) -> None:
    """Write the options in force and end the command."""
    try:
        path.write_text(tomli_w.dumps(options(context)))
    except OSError as error:
        raise ModelError(f"{path}: cannot be written ({error})") from error
    typer.echo(f"{path}: written; use it with --config {path}")
    raise typer.Exit


def _read(context: typer.Context, path: Path | None) -> Path | None:
    if path is None:
        return None
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"{path}: not a readable TOML file ({error})") from error
    names = _kept(context)
    if unknown := sorted(set(found) - set(names)):
        raise ModelError(f"{path}: unknown option {unknown[0]!r}; there are {', '.join(names)}")
    context.default_map = {names[key]: value for key, value in found.items()}
    return path


def _kept(context: typer.Context) -> dict[str, str]:
    """Names of options, as the command line has them, and of their parameters."""
    parameters = [parameter for parameter in context.command.params if parameter.name not in NOT_KEPT]
    return {max(p.opts, key=len).removeprefix("--"): str(p.name) for p in parameters}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


ConfigFile = Annotated[
    Path | None,
    typer.Option(callback=_read, is_eager=True, help="TOML file with options; the command line wins."),
]
WriteConfig = Annotated[Path | None, typer.Option(help="Write the options to a TOML file, and stop.")]
