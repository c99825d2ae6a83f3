"""Recorded steps leave the network where steps one by one leave it."""

import copy

import pytest
import torch
from torch.testing import assert_close

from jetformer_model import JetFormer, preset
from jetformer_model.gradients import Gradients, cross_entropy


def trained(network: JetFormer, device: str, recorded: int) -> tuple[JetFormer, list[float]]:
    """After seven steps: five of 29 jets, with a smaller one in between and in the end."""
    network = copy.deepcopy(network).to(device).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    gradients = Gradients(network, recorded=recorded)
    generator = torch.Generator().manual_seed(1)
    losses = []
    for jets in (29, 29, 11, 29, 29, 29, 11):
        x = torch.randn(jets, 5, 3, generator=generator).to(device)
        mask = (torch.rand(jets, 5, generator=generator) < 0.7).to(device)
        labels = torch.randint(5, (jets,), generator=generator).to(device)
        losses.append(float(gradients(x, mask, labels)))
        optimiser.step()
    return network.cpu(), losses


def network() -> JetFormer:
    torch.manual_seed(2)
    return JetFormer(preset("tiny", features=3, classes=5, constituents=5))


def test_on_a_cpu_nothing_is_recorded() -> None:
    one, losses = trained(network(), "cpu", recorded=29)
    other, same = trained(network(), "cpu", recorded=0)
    assert losses == same
    assert_close(one.state_dict(), other.state_dict(), rtol=0, atol=0)


def test_the_loss_is_the_mean_over_jets() -> None:
    logits = torch.zeros(4, 5)
    logits[:, 2] = 1.0
    loss = cross_entropy(logits, logits, None, torch.tensor([2, 2, 0, 2]))
    assert_close(loss, torch.logsumexp(logits[0], 0) - 0.75)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_recorded_steps_are_steps() -> None:
    one, losses = trained(network(), "cuda", recorded=29)
    other, same = trained(network(), "cuda", recorded=0)
    assert losses == pytest.approx(same, rel=1e-5)
    assert_close(one.state_dict(), other.state_dict(), rtol=1e-4, atol=1e-5)
