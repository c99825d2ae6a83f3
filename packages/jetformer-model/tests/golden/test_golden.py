"""A stored checkpoint gives its stored logits: no release changes what a user's file computes."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from jetformer_model.state import load

HERE = Path(__file__).parent


def test_stored_state_gives_stored_logits() -> None:
    jets = load_file(HERE / "jets.safetensors")
    logits = load(HERE / "tiny.safetensors").network(jets["inputs"], jets["mask"])
    assert logits.std() > 0.1
    torch.testing.assert_close(logits, jets["logits"], rtol=1e-4, atol=1e-5)


def test_stored_fixed_point_state_gives_the_same_bits() -> None:
    jets = load_file(HERE / "jets.safetensors")
    network = load(HERE / "fixed_point.safetensors").network
    found = network(jets["fixed_point.inputs"], jets["fixed_point.mask"])
    assert torch.equal(found, jets["fixed_point.logits"])
    assert found.std() > 0.1
