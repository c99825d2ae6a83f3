"""Kills conversions and generations at random moments: no half file is ever seen, and the result is always the same."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conversion import some_jets

from jetformer_data import schema
from jetformer_data.errors import DataError
from jetformer_data.layouts import write_layout

SEED = 1
KILLS = 50
JETS, SHARD_JETS = 1_500, 100
GENERATED, GENERATED_SHARD = 60, 10

# The command, with shards so small that a kill finds some of them finished.
_COMMAND = """
from jetformer_data import conversion, generation
from jetformer_data.cli import app
for function, jets in ((conversion.convert, {convert}), (generation.generate, {generate})):
    function.__defaults__ = (*function.__defaults__[:-1], jets)
app()
"""


@dataclass
class Victim:
    """One command that is killed again and again until it gets through."""

    arguments: list[str]
    out: Path
    jets: int
    undisturbed: str = ""
    seconds: float = 0.0
    kills: int = 0
    finished: int = 0
    lost: list[str] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        code = _COMMAND.format(convert=SHARD_JETS, generate=GENERATED_SHARD)
        return subprocess.Popen(
            [sys.executable, "-c", code, *self.arguments], start_new_session=True, stderr=subprocess.DEVNULL
        )

    def run_undisturbed(self) -> None:
        begin = time.monotonic()
        if self.start().wait():
            raise RuntimeError(f"{' '.join(self.arguments)} failed")
        self.seconds = time.monotonic() - begin
        self.undisturbed = self.digest()
        self.out.unlink()

    def digest(self) -> str:
        return hashlib.sha256(self.out.read_bytes()).hexdigest()

    def kill_once(self, rng: random.Random) -> None:
        """Start or go on, and kill; what the kill came too late for is compared and removed."""
        process = self.start()
        try:
            process.wait(rng.uniform(0.1, 0.9) * self.seconds)
        except subprocess.TimeoutExpired:
            self.kills += 1
            # the parent alone, as an impatient user does, or all at once, as a batch system does
            (os.killpg if self.kills % 2 else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
        self.look()

    def look(self) -> None:
        """A file under its name must be whole and the right one."""
        if not self.out.exists():
            return
        try:
            jets = len(schema.read(self.out))
        except DataError as error:
            self.lost.append(f"half a file was seen: {error}")
        else:
            if jets != self.jets or self.digest() != self.undisturbed:
                self.lost.append(f"another file: {jets} jets")
        self.finished += 1
        self.out.unlink()

    def finish(self) -> None:
        """The last run is left in peace."""
        if self.start().wait():
            self.lost.append("the last run failed")
        self.look()


def measure(kills: int = KILLS) -> dict[str, Any]:
    rng = random.Random(SEED)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source.root"
        write_layout([some_jets(JETS, SEED)], source, "jetclass")
        converted, generated = folder / "converted.h5", folder / "generated.h5"
        victims = (
            Victim(
                ["convert", str(source), str(converted), "--features", "jetclass-17", "--workers", "2"],
                converted,
                JETS,
            ),
            Victim(
                ["generate", str(generated), "--jets", str(GENERATED), "--seed", "3", "--workers", "2"],
                generated,
                GENERATED,
            ),
        )
        for victim, share in zip(victims, (kills - kills // 2, kills // 2), strict=True):
            victim.run_undisturbed()
            while victim.kills < share:
                victim.kill_once(rng)
            victim.finish()
        for victim in victims:
            for loss in victim.lost:
                print(f"{victim.arguments[0]}: {loss}", file=sys.stderr)
        return {
            "kills": sum(victim.kills for victim in victims),
            "kills_lost": sum(len(victim.lost) for victim in victims),
            "kills_by_command": {victim.arguments[0]: victim.kills for victim in victims},
            "kills_files_finished": {victim.arguments[0]: victim.finished for victim in victims},
            "kills_seed": SEED,
        }


if __name__ == "__main__":
    print(measure())
