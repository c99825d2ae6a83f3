"""The shards of a file on a Dask cluster, whose workers see the same file system."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jetformer_data.errors import DataError
from jetformer_data.extras import require
from jetformer_data.workers import Job, Make, Report

_PATIENCE = "30s"


@dataclass(frozen=True)
class Dask:
    """The cluster of the scheduler at `address`, such as `tcp://127.0.0.1:8786`. Extra `dask`.

    A shard whose worker is lost is made again by another.
    """

    address: str

    def run(self, make: Make, jobs: Sequence[Job], folder: Path, progress: Report) -> float:
        """As of `workers.run_workers`; `progress` counts the jets of finished shards."""
        distributed = require("distributed", "dask")
        try:
            client = distributed.Client(self.address, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise DataError(f"no Dask scheduler answers at {self.address} ({error})") from error
        done, seconds = 0, 0.0
        with client:
            jets = {}
            for job in jobs:
                # not pure: a shard is a file, and a file may have been removed since
                future = client.submit(_timed, make, job, pure=False)
                jets[future] = job.jets
            try:
                for future in distributed.as_completed(list(jets), loop=client.loop):
                    seconds += _result(future)
                    done += jets[future]
                    progress(done)
            finally:
                client.cancel(list(jets))
        return seconds


def _timed(make: Make, job: Job) -> float:
    """Runs on a worker; returns CPU seconds."""
    begin = time.process_time()
    make(job, lambda done: None)
    return time.process_time() - begin


def _result(future: Any) -> float:
    try:
        return float(future.result())
    except DataError:
        raise
    except Exception as error:  # whatever a worker or the cluster raised
        text = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"the Dask cluster failed: {text}; finished shards are kept, and the same command goes on from them"
        ) from error
