import dataclasses
from pathlib import Path

import pytest
from safetensors.torch import load_file

from jetformer_compress.one_bit_size import kilobytes, published_kilobytes
from jetformer_model.config import Architecture, preset
from jetformer_model.one_bit import OneBitJetFormer
from jetformer_model.state import save
from jetformer_model.testing import SMALL, example_state


@pytest.mark.parametrize(
    ("constituents", "before", "after"), ((8, 404.12, 31.37), (16, 413.87, 41.12), (32, 451.37, 78.62))
)
def test_the_published_sizes(constituents: int, before: float, after: float) -> None:
    shape = preset("150p", features=3, classes=5, constituents=constituents, norm="batch")
    assert round(published_kilobytes(shape, one_bit=False), 2) == before
    assert round(published_kilobytes(shape, one_bit=True), 2) == after
    live = [published_kilobytes(shape, one_bit=bits, unused=False) for bits in (False, True)]
    assert [round(one, 2) for one in live] == [400.31, 27.56]
    assert round(100 * (1 - live[1] / live[0]), 1) == 93.1


@pytest.mark.parametrize("norm", ("batch", "layer"))
@pytest.mark.parametrize("shape", (SMALL, preset("150p", features=3, classes=5)))
def test_our_accounting_is_what_lies_in_the_files(shape: Architecture, norm: str, tmp_path: Path) -> None:
    shape = dataclasses.replace(shape, norm=norm)  # type: ignore[arg-type]
    state = example_state(shape)
    for one_bit, network in ((False, state.network), (True, OneBitJetFormer(shape))):
        save(path := tmp_path / "state.safetensors", dataclasses.replace(state, network=network))
        found = sum(tensor.numel() * tensor.element_size() for tensor in load_file(path).values())
        assert found == 1024 * kilobytes(shape, one_bit=one_bit)
