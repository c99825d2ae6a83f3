"""What turning and mirroring a jet must leave as it was."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jetformer_model.augmentation import TurnedJets, planes, turn
from jetformer_model.config import Architecture
from jetformer_model.dataset import Dataset
from jetformer_model.errors import ModelError
from jetformer_model.inputs import Inputs
from jetformer_model.network import JetFormer
from jetformer_model.training import Recipe, fit

INPUTS = Inputs(
    features=("phirel", "pt", "etarel", "etarot", "phirot"),
    units=("rad", "GeV", "1", "1", "rad"),
    mean=(0.3, 40.0, -0.2, 0.1, 0.7),
    std=(0.5, 30.0, 0.25, 2.0, 1.5),
    min_pt_gev=0.0,
)
MEAN, STD = torch.tensor(INPUTS.mean), torch.tensor(INPUTS.std)
PHIREL, PT, ETAREL, ETAROT, PHIROT = range(5)
seeds = st.integers(0, 2**31)
angles = st.floats(0, 2 * math.pi)


def jets(seed: int, number: int = 7, constituents: int = 11) -> Dataset:
    """Normalised jets of physical pt, with 0 to all constituents and zeros behind them."""
    generator = torch.Generator().manual_seed(seed)
    physical = 0.3 * torch.randn(number, constituents, 5, generator=generator)
    physical[..., PT] = 1 + 100 * torch.rand(number, constituents, generator=generator)
    counts = torch.randint(0, constituents + 1, (number, 1), generator=generator)
    mask = torch.arange(constituents) < counts
    x = torch.where(mask[..., None], (physical - MEAN) / STD, 0)
    labels = torch.randint(0, 2, (number,), generator=generator)
    return Dataset(x, mask, labels, torch.arange(number))


def turned(data: Dataset, angle: float, mirrored: bool) -> Tensor:
    number = len(data)
    return turn(
        data.x, data.mask, torch.full((number,), angle), torch.full((number,), mirrored), planes(INPUTS)
    )


def masses(x: Tensor, mask: Tensor) -> Tensor:
    """GeV, of massless constituents: m^2 = sum over pairs of pt_i pt_j (deta_ij^2 + dphi_ij^2), narrow jets."""
    physical = x * STD + MEAN
    pt = physical[..., PT] * mask
    return (pt[:, :, None] * pt[:, None] * distances(physical) ** 2).sum((1, 2)).div(2).sqrt()


def distances(physical: Tensor) -> Tensor:
    vector = physical[..., [ETAREL, PHIREL]].double()
    return (vector[:, :, None] - vector[:, None]).square().sum(-1).sqrt()


@given(seed=seeds, angle=angles, mirrored=st.booleans())
@settings(max_examples=40, deadline=None)
def test_masses_distances_and_pt_stay(seed: int, angle: float, mirrored: bool) -> None:
    data = jets(seed)
    x = turned(data, angle, mirrored)
    torch.testing.assert_close(masses(x, data.mask), masses(data.x, data.mask), rtol=1e-4, atol=1e-3)
    before, after = ((values * STD + MEAN)[..., [ETAREL, PHIREL]].norm(dim=-1) for values in (data.x, x))
    torch.testing.assert_close(after[data.mask], before[data.mask], rtol=1e-4, atol=1e-5)
    assert torch.equal(x[..., PT], data.x[..., PT])


@given(seed=seeds, angle=angles, mirrored=st.booleans())
@settings(max_examples=20, deadline=None)
def test_padding_stays_zero(seed: int, angle: float, mirrored: bool) -> None:
    data = jets(seed)
    assert (turned(data, angle, mirrored)[~data.mask] == 0).all()


@given(seed=seeds, angle=angles)
@settings(max_examples=20, deadline=None)
def test_turning_back_gives_the_jet_back(seed: int, angle: float) -> None:
    data = jets(seed)
    there = dataclasses.replace(data, x=turned(data, angle, False))
    torch.testing.assert_close(turned(there, -angle, False), data.x, rtol=1e-4, atol=1e-5)


@given(seed=seeds, angle=angles)
@settings(max_examples=20, deadline=None)
def test_upright_angles_are_mirrored_only(seed: int, angle: float) -> None:
    data = jets(seed)
    assert torch.equal(turned(data, angle, True)[..., PHIROT], data.x[..., PHIROT])
    eta_before, eta_after = ((x * STD + MEAN)[..., ETAROT] for x in (data.x, turned(data, angle, True)))
    torch.testing.assert_close(eta_after[data.mask], -eta_before[data.mask], rtol=1e-4, atol=1e-5)


def test_a_quarter_turn_by_hand() -> None:
    """(eta, phi) = (0.1, 0.3): a quarter turn gives (-0.3, 0.1); mirrored before, (-0.3, -0.1)."""
    physical = torch.tensor([[[0.3, 50.0, 0.1, 0.0, 0.0]]])
    data = Dataset(
        (physical - MEAN) / STD, torch.ones(1, 1, dtype=torch.bool), torch.zeros(1), torch.zeros(1)
    )
    for mirrored, phi in ((False, 0.1), (True, -0.1)):
        result = turned(data, math.pi / 2, mirrored) * STD + MEAN
        torch.testing.assert_close(result[0, 0, [ETAREL, PHIREL]], torch.tensor([-0.3, phi]))


def batches(data: Dataset, seed: int | None, rank: int = 0, world: int = 1) -> list[tuple[Tensor, ...]]:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return list(TurnedJets(data, planes(INPUTS)).batches(4, generator, rank, world))


def test_jets_are_turned_in_training_and_left_alone_in_evaluation() -> None:
    data = jets(1)
    for (x, mask, labels), plain in zip(batches(data, None), data.batches(4), strict=True):
        assert all(torch.equal(a, b) for a, b in zip((x, mask, labels), plain, strict=True))
    first, again, other = (torch.cat([x for x, _, _ in batches(data, seed)]) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first.sort(0).values, other.sort(0).values)


def test_processes_share_the_batch_of_one() -> None:
    data = jets(3, number=8)
    whole = torch.cat([x for x, _, _ in batches(data, 5)])
    parts = [torch.cat([x for x, _, _ in batches(data, 5, rank, 2)]) for rank in range(2)]
    assert torch.equal(torch.stack(parts, 1).flatten(0, 1), whole)


def test_a_network_trains_on_turned_jets() -> None:
    data = jets(7, number=40)
    augmented = TurnedJets(data, planes(INPUTS))
    assert augmented.fingerprint() != data.fingerprint()
    torch.manual_seed(1)
    network = JetFormer(
        Architecture.uniform(blocks=1, embed_dim=4, heads=2, constituents=11, features=5, classes=2)
    )
    history, _ = fit(network, augmented, data, Recipe(epochs=2, batch_size=16))
    assert len(history) == 2


def test_without_angles_there_is_nothing_to_turn() -> None:
    with pytest.raises(ModelError, match=r"expected angles among the features .*, got pt"):
        planes(Inputs(("pt",), ("GeV",), (0.0,), (1.0,), 0.0))
