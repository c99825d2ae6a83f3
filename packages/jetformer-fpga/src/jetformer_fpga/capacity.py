"""Refuses a circuit that is larger than its part, and says by how much and what to shrink."""

from __future__ import annotations

from . import layers
from .errors import FpgaError
from .resources import PARTS, Resources
from .state import State
from .tracing import TABLE_BITS

HINTS = {"dsp": "send products to LUT with --multipliers lut", "lut": "narrow it, or prune the network"}


def check(found: Resources, state: State) -> None:
    """Raises FpgaError where a count is above what the part has; the worst one is told."""
    part = PARTS[found.part]
    counts = {"lut": found.lut, "ff": found.ff, "dsp": found.dsp, "bram": found.bram}
    worst = max(counts, key=lambda name: counts[name] / part[name])
    if counts[worst] <= part[worst]:
        return
    excess = counts[worst] - part[worst]
    raise FpgaError(
        f"The circuit is too large for {found.part}: {counts[worst]:,} {worst.upper()}, {excess:,} "
        f"({excess / part[worst]:.0%}) more than its {part[worst]:,}; {_costliest(state, worst)}: "
        f"{HINTS.get(worst, 'take fewer stages or a larger part')}, or build it all the same with --no-resources."
    )


def _costliest(state: State, of: str) -> str:
    """In words. Multipliers stand for DSP, the tracer's estimate of LUT for all else."""
    found = layers.layers_of(state, TABLE_BITS)
    size = {layer.name: layer.multipliers if of == "dsp" else layer.lut for layer in found}
    name = max(size, key=lambda name: size[name])
    share = size[name] / max(sum(size.values()), 1)
    return (
        f"its costliest layer is '{name}' with {share:.0%} of the {'multipliers' if of == 'dsp' else 'logic'}"
    )
