"""Loops share memory without harm."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from jetformer_fpga.loops import Formula, Loop, Numbers, Slots, joined, places


def program(rng: np.random.Generator) -> tuple[list[range], list[Loop]]:
    """Two blocks of inputs, then loops that read a few numbers of blocks before them."""
    blocks, loops = [range(5), range(5, 8)], []
    for _ in range(20):
        block = range(blocks[-1].stop, blocks[-1].stop + int(rng.integers(1, 12)))
        read = Formula(
            "{} + {}", (Slots(rng.integers(0, block.start, size=3)), Numbers(np.ones(3, np.int64)))
        )
        loops.append(Loop("layer", np.array(block), read))
        blocks.append(block)
    return blocks, loops


def reads(loop: Loop) -> np.ndarray:
    assert isinstance(loop.value, Formula)
    assert isinstance(loop.value.of[0], Slots)
    return loop.value.of[0].at


@pytest.mark.parametrize("seed", range(5))
def test_what_is_read_is_what_was_written(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks, loops = program(rng)
    last = np.array(blocks[7])
    place, size = places(blocks, loops, last)
    memory = np.full(size, -1)
    memory[place[:8]] = np.arange(8)
    for loop in loops:
        assert (memory[place[reads(loop)]] == reads(loop)).all()
        memory[place[loop.at]] = loop.at
    assert (memory[place[last]] == last).all()
    assert (place[:8] == np.arange(8)).all()
    assert (memory[:8] == np.arange(8)).all()
    for loop in loops:
        assert (np.diff(place[loop.at]) == 1).all()


def test_memory_is_used_again() -> None:
    blocks = [range(10 * n, 10 * n + 10) for n in range(8)]
    loops = [Loop("layer", np.array(block), Slots(np.array(before))) for before, block in pairwise(blocks)]
    assert places(blocks, loops, np.array(blocks[-1]))[1] == 30


def test_only_what_is_computed_the_same_way_is_joined() -> None:
    slots, numbers = Slots(np.arange(2)), Numbers(np.arange(3))
    both = joined([Formula("f({})", (slots,)), Formula("f({})", (Slots(np.array([7])),))])
    assert isinstance(both, Formula)
    assert isinstance(both.of[0], Slots)
    assert both.of[0].at.tolist() == [0, 1, 7]
    assert joined([slots, numbers]) is None
    assert joined([Formula("f({})", (slots,)), Formula("g({})", (slots,))]) is None
    assert joined([Formula("f({})", (slots,)), Formula("f({})", (numbers,))]) is None
