from __future__ import annotations

import numpy as np

from jetformer_fpga.fixed_point import Format, codes_on_grid, quantise, quantise_real


def test_rounds_half_up_also_below_zero() -> None:
    fmt = Format.of([1, 3, 1])
    assert quantise_real([0.25, -0.25, 0.75, -0.75, 0.24], fmt).tolist() == [1, 0, 2, -1, 0]
    assert quantise(np.array([1, -1, 3, -3]), 2, fmt).tolist() == [1, 0, 2, -1]


def test_saturates_at_both_ends() -> None:
    assert quantise_real([7.6, -8.6, 100.0], Format.of([1, 3, 0])).tolist() == [7, -8, 7]
    assert quantise_real([-0.6, 9.0], Format.of([0, 3, 0])).tolist() == [0, 7]


def test_negative_integer_and_fraction_bits() -> None:
    coarse, fine = Format.of([1, 5, -2]), Format.of([0, -2, 6])
    assert quantise_real([6.0, 5.9, -6.0, 1000], coarse).tolist() == [2, 1, -1, 7]
    assert coarse.value([2, -1]).tolist() == [8.0, -4.0]
    assert quantise_real([0.25, 0.1], fine).tolist() == [15, 6]


def test_no_width_holds_only_zero() -> None:
    fmt = Format.of([1, 2, -3])
    assert quantise_real([5.0, -9.0], fmt).tolist() == [0, 0]
    assert quantise(np.array([5, -9]), 0, fmt).tolist() == [0, 0]


def test_sees_what_is_off_the_grid() -> None:
    codes, good = codes_on_grid([0.5, 0.25, 2.0, -2.0, np.nan], Format.of([1, 1, 1]))
    assert good.tolist() == [True, False, False, True, False]
    assert codes[[0, 3]].tolist() == [1, -4]
