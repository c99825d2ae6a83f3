"""Commands that run one after the other, each only if its result is not there already."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Done:
    """A step that has run: what it cost then, and a hash of its command and of the files it started from."""

    title: str
    command: str
    seconds: float
    origin: str


class Steps:
    """Runs the packages' commands in one folder and remembers what they cost."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: list[Done] = []

    def run(
        self,
        title: str,
        command: Sequence[object],
        *,
        makes: str,
        needs: Sequence[str] = (),
        keep_output: bool = False,
    ) -> None:
        """Run a command of the packages unless the same one has made `makes` from the same `needs` before.

        makes, needs: names of files in the folder. keep_output: what the command prints becomes the file `makes`.
        Leaves the program with one sentence if the command fails.
        """
        words = [str(word) for word in command]
        origin = self._origin(words, needs)
        record = self.folder / f".{makes.replace('/', '.')}.step"
        if (self.folder / makes).exists() and record.exists():
            done = Done(**json.loads(record.read_text()))
            if done.origin == origin:
                print(f"\n== {title}: there already", flush=True)
                self.done.append(done)
                return
        print(f"\n== {title}\n   {shlex.join(words)}", flush=True)
        start = time.monotonic()
        self._call(words, self.folder / makes if keep_output else None)
        done = Done(title, shlex.join(words), round(time.monotonic() - start, 1), origin)
        record.write_text(json.dumps(asdict(done)))
        self.done.append(done)

    def _call(self, words: list[str], output: Path | None) -> None:
        module, *arguments = words
        command = [sys.executable, "-m", module.replace("-", "_"), *arguments]
        finished = subprocess.run(
            command, cwd=self.folder, stdout=subprocess.PIPE if output else None, text=True, check=False
        )
        if finished.returncode:
            sys.exit(f"The demo stopped: `{shlex.join(words)}` ended with exit code {finished.returncode}.")
        if output:
            output.write_text(finished.stdout)

    def _origin(self, words: list[str], needs: Sequence[str]) -> str:
        digest = hashlib.sha256(shlex.join(words).encode())
        for name in needs:
            digest.update((self.folder / name).read_bytes())
        return digest.hexdigest()
