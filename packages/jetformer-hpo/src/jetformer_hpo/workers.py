"""One trial, one process: started at once, watched, ended when its time is over, and never a danger to the search.

Processes are forked from a server that has PyTorch loaded already, so that a trial costs milliseconds and not seconds to
start. What a trial prints goes to log.txt in its folder, why it failed to failure.txt.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

Work = Callable[[Path], None]  # reads request.json in the folder and writes result.json

_CONTEXT = multiprocessing.get_context("forkserver")
# All that the command imports: a child runs the imports of the main module once more.
_CONTEXT.set_forkserver_preload(["jetformer_hpo.cli"])


@dataclass
class Failed(Exception):
    """A trial without a result. transient: it may well succeed when tried again."""

    reason: str
    transient: bool = False


@dataclass
class Worker:
    """A trial at work in `folder`; ends itself should this process die."""

    work: Work
    folder: Path
    time_limit: float
    begin: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        for name in ("result.json", "failure.txt"):
            (self.folder / name).unlink(missing_ok=True)
        self.process: BaseProcess = _CONTEXT.Process(
            target=_work, args=(self.work, self.folder, os.getpid()), daemon=True
        )
        self.process.start()

    @property
    def is_done(self) -> bool:
        """Whether it has ended, by itself or because its time is over."""
        if time.monotonic() - self.begin > self.time_limit:
            self.stop()
            (self.folder / "failure.txt").write_text(f"it took longer than {self.time_limit:g} s")
        return not self.process.is_alive()

    @property
    def sentinel(self) -> int:
        """Ready, as `multiprocessing.connection.wait` has it, when the process has ended."""
        return self.process.sentinel

    def stop(self) -> None:
        """End it and whatever it has started."""
        if self.process.is_alive() and self.process.pid:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has not made its group yet
                self.process.kill()
        self.process.join()

    def result(self) -> dict[str, Any]:
        """What it has written. Raises Failed if there is none, or an objective is no number."""
        self.process.join()
        reason = self.folder / "failure.txt"
        if reason.exists():
            raise Failed(reason.read_text())
        if self.process.exitcode:
            raise Failed(_words(self.process.exitcode), transient=True)
        try:
            found: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        except (OSError, ValueError) as error:
            raise Failed(f"it left no readable result ({error})", transient=True) from error
        for name, value in found["values"].items():
            if not math.isfinite(value):
                raise Failed(f"{name} is no number ({value})")
        return found


def _words(exit_code: int) -> str:
    if exit_code == -signal.SIGKILL:
        return "it was killed (signal 9), by hand or for want of memory"
    return f"it was ended by signal {-exit_code}" if exit_code < 0 else f"it ended with exit code {exit_code}"


def _work(work: Work, folder: Path, master: int) -> None:
    os.setsid()  # a group of its own: Ctrl-C is for the master, and what the trial starts ends with it
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    threading.Thread(target=_end_with, args=(master,), daemon=True).start()
    try:
        work(folder)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        (folder / "failure.txt").write_text(str(error) or type(error).__name__)
        sys.exit(1)


def _end_with(master: int) -> None:
    while True:
        try:
            os.kill(master, 0)
        except OSError:
            os.killpg(0, signal.SIGKILL)
        time.sleep(1)
