"""The tracer's program of a state, kept in a cache: tracing is the slow part of building a circuit."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from . import fusion, network, tools, tracer
from .state import State

TABLE_BITS = 8
SOURCES = ("answers", "fixed_point", "fusion", "graph", "interval", "network", "nodes", "state", "tracer")


def traced(loaded: State, state_path: Path) -> Any:
    """From the cache where the same state was traced by the same code and tracer before."""
    place = tools.cache_folder("programs") / f"{_key(state_path, loaded.output)}.json.gz"
    if place.is_file():
        return tracer.load(place)
    program = tracer.trace(fusion.fuse(network.build(loaded), TABLE_BITS))
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".{os.getpid()}.{place.name}")
    tracer.save(program, partial)
    os.replace(partial, place)
    return program


def _key(state_path: Path, output: str) -> str:
    here = Path(__file__).parent
    parts = [state_path.read_bytes(), output.encode(), tracer.version().encode()]
    parts += [(here / f"{name}.py").read_bytes() for name in SOURCES]
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
