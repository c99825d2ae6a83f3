"""Runs tools of the FPGA's vendor, which take hours: what they say goes to a log as it comes, and none is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .errors import ToolError

GRACE_SECONDS = 5.0


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
