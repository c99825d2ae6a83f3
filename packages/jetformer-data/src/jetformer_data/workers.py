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
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from jetformer_data.errors import DataError

_PATIENCE_SECONDS = 20.0
_GLANCE_SECONDS = 0.2

Job = Any
Make = Callable[[Job, Callable[[int], None]], None]


class Lock:
    """Keeps a folder for one run: taken by nobody while a process of another run, even an orphan, is alive.

    The run and its workers share the lock; a new run must have it alone for a moment before it starts.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"

    def __enter__(self) -> Lock:
        self._file = self._path.open("a")
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    self._file.close()
                    raise DataError(f"{self._path.parent}: another run is at work on this output") from None
                time.sleep(_GLANCE_SECONDS)
        self.share()
        return self

    def share(self) -> Lock:
        """Take part in a run that has the lock."""
        if not hasattr(self, "_file"):
            self._file = self._path.open("a")
        fcntl.flock(self._file, fcntl.LOCK_SH)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def run_workers(
    make: Make, jobs: Sequence[Job], workers: int, folder: Path, progress: Callable[[int], None]
) -> float:
    """Call `make(job, report)` for every job in `workers` processes; returns the CPU seconds that they took.

    `progress(total)` gets the sum of what the jobs have reported. The first failure ends all workers and is raised.
    """
    # Spawned, since a fork would copy whatever threads and libraries the parent holds.
    context = multiprocessing.get_context("spawn")
    before = _children_seconds()
    counts = context.RawArray("q", max(1, len(jobs)))
    running: dict[Any, tuple[Any, Any]] = {}  # process and receiver by sentinel
    try:
        for k in range(min(workers, len(jobs))):
            receiver, sender = context.Pipe(duplex=False)
            share = [(i, jobs[i]) for i in range(k, len(jobs), workers)]
            process = context.Process(target=_work, args=(make, share, counts, sender, folder))
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


def _work(make: Make, jobs: list[tuple[int, Job]], counts: Any, errors: Any, folder: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lock = Lock(folder).share()
    # Libraries print their banners on standard output, which belongs to the command's result.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for i, job in jobs:

        def report(done: int, i: int = i) -> None:
            counts[i] = done

        try:
            make(job, report)
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
