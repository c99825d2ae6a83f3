"""Worker processes that end with their parent, and a parent that ends with the first worker that fails."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Protocol

from jetformer_data.errors import DataError

_PATIENCE_SECONDS = 20.0
_GLANCE_SECONDS = 0.2

Job = Any
Report = Callable[[int], None]
Make = Callable[[Job, Report], None]


class Backend(Protocol):
    """What jobs are run by."""

    def run(self, make: Make, jobs: Sequence[Job], folder: Path, progress: Report) -> float:
        """Call `make(job, report)` for every job; returns the CPU seconds that they took. See `run_workers`."""


@dataclass(frozen=True)
class Processes:
    """Processes of this machine."""

    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise DataError(f"workers: expected at least 1, got {self.count}")

    def run(self, make: Make, jobs: Sequence[Job], folder: Path, progress: Report) -> float:
        return run_workers(make, jobs, self.count, folder, progress)


class Lock:
    """Keeps a folder for one run: taken by nobody while a process of another run, even an orphan, is alive.

    Two files are locked. `lock` is shared by a run and its workers; a new run must have it alone for a moment before it
    starts. `runs` belongs to a run alone, or is shared by those that each make a share of the work (`is_share`).
    """

    def __init__(self, folder: Path, is_share: bool = False) -> None:
        self._folder, self._is_share = folder, is_share
        self._files: list[Any] = []

    def __enter__(self) -> Lock:
        try:
            self._take("runs", fcntl.LOCK_SH if self._is_share else fcntl.LOCK_EX)
            if not self._is_share:
                self._take("lock", fcntl.LOCK_EX)
        except BaseException:
            self.__exit__()
            raise
        return self.share()

    def share(self) -> Lock:
        """Take part in a run that has the lock."""
        if len(self._files) < 2:
            self._files.append((self._folder / "lock").open("a"))
        fcntl.flock(self._files[-1], fcntl.LOCK_SH)
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def _take(self, name: str, kind: int) -> None:
        self._files.append((self._folder / name).open("a"))
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return fcntl.flock(self._files[-1], kind | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > deadline:
                    raise DataError(f"{self._folder}: another run is at work on this output") from None
                time.sleep(_GLANCE_SECONDS)


def run_workers(make: Make, jobs: Sequence[Job], workers: int, folder: Path, progress: Report) -> float:
    """Call `make(job, report)` for every job in `workers` processes; returns the CPU seconds that they took.

    `progress(total)` gets the sum of what the jobs have reported. The first failure ends all workers and is raised.
    A worker that is free takes the next job.
    """
    # Spawned, since a fork would copy whatever threads and libraries the parent holds.
    context = multiprocessing.get_context("spawn")
    before = _children_seconds()
    counts = context.RawArray("q", max(1, len(jobs)))
    following = context.Value("q", 0)
    running: dict[Any, tuple[Any, Any]] = {}  # process and receiver by sentinel
    try:
        for _ in range(min(workers, len(jobs))):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(make, jobs, following, counts, sender, folder))
            process.start()
            sender.close()
            running[process.sentinel] = (process, receiver)
        while running:
            ended = wait(list(running), timeout=_GLANCE_SECONDS)
            progress(sum(counts))
            for sentinel in ended:
                _require_success(*running.pop(sentinel))
    finally:
        for process, _ in running.values():
            process.kill()
        for process, _ in running.values():
            process.join()
    return _children_seconds() - before


def _work(make: Make, jobs: Sequence[Job], following: Any, counts: Any, errors: Any, folder: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lock = Lock(folder).share()
    # Libraries print their banners on standard output, which belongs to the command's result.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    while True:
        with following.get_lock():
            i = following.value
            following.value += 1
        if i >= len(jobs):
            break

        def report(done: int, i: int = i) -> None:
            counts[i] = done

        try:
            make(jobs[i], report)
        except Exception as error:
            text = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
            errors.send(" ".join(text.split()))
            os._exit(1)
    lock.__exit__()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _require_success(process: Any, receiver: Any) -> None:
    process.join()
    if process.exitcode == 0:
        return
    try:
        reason = receiver.recv()
    except EOFError:
        code = process.exitcode
        reason = (
            f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it exited with code {code}"
        )
    raise DataError(
        f"a worker process failed: {reason}; finished shards are kept, and the same command goes on from them"
    )


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
