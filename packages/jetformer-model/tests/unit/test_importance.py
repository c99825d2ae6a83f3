import pytest
import torch
from torch import Tensor, nn

from jetformer_model.dataset import Dataset
from jetformer_model.importance import permutation_importance

JETS, CONSTITUENTS, FEATURES = 2003, 3, ("first", "second")


def some_jets(seed: int = 1) -> Dataset:
    """The class is the sign of the mean of feature `first`; one to three real constituents."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(CONSTITUENTS) < torch.randint(1, CONSTITUENTS + 1, (JETS, 1), generator=generator)
    x = torch.randn(JETS, CONSTITUENTS, 2, generator=generator) * mask.unsqueeze(-1)
    labels = (x[..., 0].sum(1) > 0).long()
    return Dataset(x, mask, labels, torch.arange(JETS))


class SignOfFirst(nn.Module):
    """Answers rightly from feature `first` alone, and keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        self.shown.append(x)
        assert (x[~mask] == 0).all()
        total = x[..., 0].sum(1)
        return torch.stack([-total, total], 1)


def test_only_the_feature_that_is_used_matters() -> None:
    """Without it, half of the answers are right by chance."""
    first, second = permutation_importance(SignOfFirst(), some_jets(), FEATURES)
    assert (first.feature, second.feature) == FEATURES
    assert first.drop == pytest.approx(0.5, abs=4 * first.error)
    assert (second.drop, second.error) == (0, 0)


def test_values_are_permuted_among_real_constituents_and_nothing_else_changes() -> None:
    network, jets = SignOfFirst(), some_jets()
    before = jets.x.clone()
    permutation_importance(network, jets, FEATURES, repeats=1)
    original, *permuted = network.shown
    assert torch.equal(jets.x, before)
    assert torch.equal(original, before)
    for column, x in enumerate(permuted):
        assert torch.equal(x[..., 1 - column], before[..., 1 - column])
        values, shown = before[..., column][jets.mask], x[..., column][jets.mask]
        assert not torch.equal(values, shown)
        assert torch.equal(values.sort().values, shown.sort().values)


def test_error_is_the_spread_over_samples_of_jets() -> None:
    found = [permutation_importance(SignOfFirst(), some_jets(seed), FEATURES)[0] for seed in range(40)]
    drops, errors = (torch.tensor([getattr(one, name) for one in found]) for name in ("drop", "error"))
    assert float(drops.std()) == pytest.approx(float(errors.mean()), rel=0.4)


def test_same_seed_same_importance() -> None:
    first, again, other = (
        permutation_importance(SignOfFirst(), some_jets(), FEATURES, repeats=2, seed=seed)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_it_is_told_of_each_feature() -> None:
    told: list[str] = []
    permutation_importance(SignOfFirst(), some_jets(), FEATURES, repeats=1, after_each=told.append)
    assert told == list(FEATURES)
