"""For tests: work that costs nothing. Accuracy rises with the blocks, cost with the width."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any


def cheap(folder: Path) -> None:
    """Writes a result at once, and a line with the point to the file that the request names under "asked", if it does."""
    request = json.loads((folder / "request.json").read_text())
    settings = request["settings"]
    if asked := request.get("asked"):
        with open(asked, "a") as file:
            file.write(json.dumps(settings) + "\n")
    time.sleep(request.get("sleep", 0))
    _write(
        folder, settings["blocks"] / 7 - settings["dropout"], 1000 * settings["embed_dim"] + settings["heads"]
    )


def fragile(folder: Path) -> None:
    """As `cheap`, but networks of more than 3 blocks fail, each number of blocks in a way of its own."""
    blocks = json.loads((folder / "request.json").read_text())["settings"]["blocks"]
    if blocks == 4:
        raise ValueError("the loss is no number")
    if blocks == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if blocks == 6:
        _write(folder, float("nan"), 1)
        return
    cheap(folder)


def works_the_second_time(folder: Path) -> None:
    """As `cheap`, but the first attempt is killed."""
    marker = folder / "was here"
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    cheap(folder)


def endless(folder: Path) -> None:
    """Never comes to an end."""
    time.sleep(10_000)


def _write(folder: Path, accuracy: float, flops: float) -> None:
    values: dict[str, Any] = {"accuracy": accuracy, "flops": flops}
    temporary = folder / "result.tmp"
    temporary.write_text(json.dumps({"values": values}))
    temporary.replace(folder / "result.json")
