"""Runs tools of the FPGA's vendor, which take hours: what they say goes to a log as it comes, none is left behind, and what
one said of some files is kept beside them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .errors import ProjectError, ToolError
from .project import joint_digest

GRACE_SECONDS = 5.0


def once(
    result: Path, inputs: Sequence[Path], ask: Callable[[], dict[str, Any]], again: bool
) -> dict[str, Any]:
    """What is known of the files `inputs`, else (or `again`) what `ask` finds, which is kept as JSON in `result`."""
    if not again and (there := known(result, inputs)) is not None:
        return there
    try:
        made_from = joint_digest(inputs)
    except OSError as error:
        raise ProjectError(
            f"{error.filename}: can't be read ({error.strerror}); make the project again with `jetformer-fpga synth`."
        ) from error
    found = ask() | {"made_from": made_from}
    partial = result.with_name(f".{result.name}.partial")
    partial.write_text(json.dumps(found, indent=1))
    os.replace(partial, result)
    return found


def known(result: Path, inputs: Sequence[Path]) -> dict[str, Any] | None:
    """What `result` says of files that are still the same, or None."""
    try:
        found: dict[str, Any] = json.loads(result.read_text())
        return found if found["made_from"] == joint_digest(inputs) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def run(
    command: Sequence[str], cwd: Path, log: Path, line: Callable[[str], None] = lambda text: None
) -> None:
    """Runs `command` to its end; each line it prints goes to `log` and to `line`.

    An interrupt, as of Ctrl-C or of a batch system (SIGTERM), ends it with all processes that it started. Raises ToolError
    with the first error it told of, and where its log is.
    """
    error, last = "", "it said nothing"
    try:
        with log.open("w") as file, _interrupts(), _started(command, cwd) as process:
            assert process.stdout is not None
            for text in process.stdout:
                file.write(text)
                file.flush()
                line(text)
                last = text.strip() or last
                error = error or (last if last.startswith("ERROR") else "")
            code = process.wait()
    except OSError as problem:
        raise ToolError(f"{command[0]} can't be run in {cwd} ({problem.strerror}).") from problem
    if code:
        words = (error or last)[:300].rstrip(".")
        raise ToolError(f"{Path(command[0]).name} failed (exit code {code}): {words}; its log is {log}.")


@contextlib.contextmanager
def _started(command: Sequence[str], cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """The process, leader of a group of its own, which is ended where it is left alone before its end."""
    with subprocess.Popen(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            yield process
        except BaseException:
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(GRACE_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise


@contextlib.contextmanager
def _interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt inside, where they would have ended this process on the spot."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
