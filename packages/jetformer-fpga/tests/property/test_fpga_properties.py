from __future__ import annotations

import tempfile
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jetformer_fpga import fusion, network, reference, state, tracer, vectors
from jetformer_fpga.fixed_point import Format, quantise, quantise_real
from jetformer_fpga.testing import NETWORKS, Sketch, random_state

formats = st.tuples(st.integers(0, 1), st.integers(-3, 8), st.integers(-3, 8))


def exactly(x: Fraction, k: int, i: int, f: int) -> int:
    """Q by its definition, in rational numbers."""
    if k + i + f <= 0:
        return 0
    n = floor(x * Fraction(2) ** f + Fraction(1, 2))
    return int(min(max(n, -k * 2 ** (i + f)), 2 ** (i + f) - 1))


@given(formats, st.integers(-(2**20), 2**20), st.integers(-4, 12))
def test_quantise_is_its_definition(kif: tuple[int, int, int], code: int, fraction: int) -> None:
    expected = exactly(Fraction(code) / Fraction(2) ** fraction, *kif)
    assert int(quantise(np.array(code), fraction, Format.of(kif))) == expected
    assert int(quantise_real(np.ldexp(float(code), -fraction), Format.of(kif))) == expected


@given(formats, st.floats(-500, 500))
def test_quantising_twice_is_quantising_once(kif: tuple[int, int, int], x: float) -> None:
    fmt = Format.of(kif)
    once = quantise_real(x, fmt)
    assert quantise(once, fmt.f, fmt) == once
    assert quantise_real(fmt.value(once), fmt) == once


@st.composite
def networks(draw: st.DrawFn) -> state.State:
    heads = draw(st.sampled_from([1, 2, 3]))
    blocks = draw(st.integers(1, 2))
    with tempfile.TemporaryDirectory() as folder:
        path = random_state(
            Path(folder) / "state.safetensors",
            seed=draw(st.integers(0, 2**16)),
            constituents=draw(st.sampled_from([1, 2, 5])),
            features=draw(st.sampled_from([1, 3])),
            embed_dim=draw(st.sampled_from([1, 3, 5])),
            heads=heads,
            attention_dims=[heads * draw(st.sampled_from([1, 2])) for _ in range(blocks)],
            feedforward_dims=draw(st.lists(st.sampled_from([1, 3, 7]), min_size=blocks, max_size=blocks)),
            classes=draw(st.sampled_from([1, 2, 5])),
            weight_bits=draw(st.integers(2, 7)),
            activation_bits=draw(st.integers(4, 9)),
        )
        return state.read(path)


def random_vectors(loaded: state.State, seed: int, rows: int = 60) -> vectors.Vectors:
    rng = np.random.default_rng(seed)
    shape = (rows, *loaded.input_shape)
    fmt = loaded.formats["features"].spread(shape)
    mask = rng.integers(0, 4, size=shape[:2]) > 0
    x = np.where(mask[..., None], rng.integers(fmt.low, fmt.high + 1), 0)
    return vectors.Vectors.of_codes(loaded, x, mask, tuple(map(str, range(rows)))) + vectors.corners(loaded)


@st.composite
def sketches(draw: st.DrawFn) -> state.State:
    """Networks that are no JetFormers."""
    sketch = Sketch(
        seed=draw(st.integers(0, 2**16)),
        features=draw(st.sampled_from([1, 3])),
        classes=draw(st.sampled_from([1, 2, 5])),
        weight_bits=draw(st.integers(2, 7)),
    )
    NETWORKS[draw(st.sampled_from(sorted(NETWORKS)))](sketch)
    with tempfile.TemporaryDirectory() as folder:
        return state.read(sketch.write(Path(folder) / "state.safetensors"))


@settings(max_examples=40, deadline=None)
@given(st.one_of(networks(), sketches()), st.integers(0, 2**16), st.sampled_from([0, 5, 8]))
def test_interpreter_gives_the_reference(loaded: state.State, seed: int, table_bits: int) -> None:
    asked = random_vectors(loaded, seed)
    program = tracer.trace(fusion.fuse(network.build(loaded), table_bits))
    features = loaded.formats["features"].value(asked.x).reshape(len(asked), -1)
    real = tracer.interpret(program, np.concatenate([features, asked.mask], axis=1))
    codes = np.ldexp(real, loaded.formats["logits"].f)
    np.testing.assert_array_equal(codes, reference.logits(loaded, asked.x, asked.mask))


@settings(max_examples=15, deadline=None)
@given(networks(), st.integers(0, 2**16))
def test_padding_and_order_change_nothing(loaded: state.State, seed: int) -> None:
    asked = random_vectors(loaded, seed, rows=20)
    expected = reference.logits(loaded, asked.x, asked.mask)
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(asked.mask.shape[1]), (len(asked), 1)), axis=1)
    shuffled = np.take_along_axis(asked.x, order[..., None], axis=1)
    np.testing.assert_array_equal(
        reference.logits(loaded, shuffled, np.take_along_axis(asked.mask, order, axis=1)), expected
    )
    noise = np.where(asked.mask[..., None], asked.x, loaded.formats["features"].high)
    np.testing.assert_array_equal(reference.logits(loaded, noise, asked.mask), expected)
