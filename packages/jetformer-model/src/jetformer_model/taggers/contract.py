"""The battery of tests that every tagger inherits by naming itself; `jetformer_model.testing` hands it out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from jetformer_model.errors import ModelError
from jetformer_model.inputs import Inputs
from jetformer_model.norm import MaskedBatchNorm
from jetformer_model.state import State, load, save
from jetformer_model.taggers.counting import counted_flops, flops, parameters
from jetformer_model.taggers.registry import TAGGERS, build
from jetformer_model.taggers.tagger import Tagger

EXAMPLE_INPUTS = Inputs(
    ("etarel", "charge", "pt", "phirel"),
    ("1", "e", "GeV", "rad"),
    (0.01, 0.1, 60.0, -0.02),
    (0.1, 0.7, 50.0, 0.12),
    2.0,
)


class TaggerContract:
    """Tests of the tagger `name`: inherit, and name it; `sizes` replace published ones.

    Those of its claims hold to the bit where only the content of padding changes, and to rounding where shapes do.
    """

    name: str
    sizes: ClassVar[dict[str, Any]] = {}
    constituents = 7
    classes = 3
    seed = 1

    def make(self) -> Any:
        """The tagger in evaluation, its norms with statistics that are not the initial ones."""
        torch.manual_seed(self.seed)
        made = build(
            self.name, EXAMPLE_INPUTS, constituents=self.constituents, classes=self.classes, **self.sizes
        )
        for module in made.modules():
            if isinstance(module, MaskedBatchNorm | nn.BatchNorm1d):
                module.running_mean.normal_(std=0.3)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
        return made.eval()

    def jets(self, jets: int = 11) -> tuple[Tensor, Tensor]:
        """x and mask of jets with 0, 1, 2, ... constituents, P at most, that come first; zeros after them."""
        generator = torch.Generator().manual_seed(self.seed)
        counts = torch.arange(jets) % (self.constituents + 1)
        mask = torch.arange(self.constituents) < counts[:, None]
        x = torch.randn(jets, self.constituents, len(EXAMPLE_INPUTS.features), generator=generator)
        return x * mask.unsqueeze(-1), mask

    def claims(self, claim: str) -> bool:
        return claim in TAGGERS[self.name].claims

    @torch.no_grad()
    def test_logits_have_a_row_a_jet_and_a_column_a_class(self) -> None:
        x, mask = self.jets()
        logits = self.make()(x, mask)
        assert logits.shape == (len(x), self.classes)
        assert logits.dtype == torch.float32
        assert logits.std(0).min() > 1e-3  # it depends on the jet

    @torch.no_grad()
    @pytest.mark.parametrize("junk", (7.0, -1e6))
    def test_what_stands_in_padding_changes_nothing(self, junk: float) -> None:
        tagger, (x, mask) = self.make(), self.jets()
        assert torch.equal(tagger(x, mask), tagger(torch.where(mask.unsqueeze(-1), x, junk), mask))

    @torch.no_grad()
    @pytest.mark.parametrize("more", (1, 9))
    def test_more_padding_changes_nothing(self, more: int) -> None:
        tagger, (x, mask) = self.make(), self.jets()
        _close(tagger(x, mask), tagger(*_padded(x, mask, more)))

    @torch.no_grad()
    def test_less_padding_changes_nothing(self) -> None:
        tagger, (x, mask) = self.make(), self.jets(5)
        longest = int(mask.sum(1).max())
        assert longest < self.constituents
        _close(tagger(x, mask), tagger(x[:, :longest], mask[:, :longest]))

    def test_padding_changes_nothing_in_training(self) -> None:
        tagger, (x, mask) = _without_dropout(self.make().train()), self.jets()
        _close(tagger(x, mask), tagger(*_padded(x, mask, 4)))

    @torch.no_grad()
    def test_order_of_constituents_changes_nothing_if_so_claimed_and_something_if_not(self) -> None:
        tagger, (x, mask) = self.make(), self.jets()
        order = torch.tensor([4, 2, 6, 0, 5, 3, 1])
        straight, shuffled = tagger(x, mask), tagger(x[:, order], mask[:, order])
        if self.claims("order"):
            _close(straight, shuffled)
        else:
            assert (straight - shuffled).abs().max() > 1e-3

    @torch.no_grad()
    def test_a_batch_equals_its_jets_one_by_one(self) -> None:
        tagger, (x, mask) = self.make(), self.jets()
        alone = [tagger(x[jet : jet + 1], mask[jet : jet + 1]) for jet in range(len(x))]
        _close(tagger(x, mask), torch.cat(alone))

    @torch.no_grad()
    def test_jets_with_no_and_with_one_constituent_have_logits(self) -> None:
        tagger, (x, mask) = self.make(), self.jets(2)
        assert mask.sum(1).tolist() == [0, 1]
        assert torch.isfinite(tagger(x, mask)).all()
        assert torch.isfinite(tagger(x[:, :1], mask[:, :1])).all()

    @torch.no_grad()
    def test_a_batch_without_jets_has_no_logits(self) -> None:
        x, mask = self.jets(0)
        assert self.make()(x, mask).shape == (0, self.classes)

    def test_gradients_reach_every_parameter(self) -> None:
        tagger, (x, mask) = self.make().train(), self.jets(33)
        labels = torch.arange(33) % self.classes
        nn.functional.cross_entropy(tagger(x, mask), labels).backward()
        for name, parameter in tagger.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.abs().max() > 0, name

    def test_a_single_constituent_can_be_trained_on(self) -> None:
        tagger, (x, mask) = self.make().train(), self.jets(2)
        tagger(x[1:], mask[1:]).sum().backward()
        gradients = [parameter.grad for parameter in tagger.parameters() if parameter.grad is not None]
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
        assert all(torch.isfinite(buffer).all() for buffer in tagger.buffers())

    @torch.no_grad()
    def test_a_state_file_holds_all_of_it(self, tmp_path: Path) -> None:
        tagger, (x, mask) = self.make(), self.jets()
        names = tuple(f"class {index}" for index in range(self.classes))
        save(tmp_path / "tagger.safetensors", State(tagger, EXAMPLE_INPUTS, names))
        loaded = load(tmp_path / "tagger.safetensors")
        assert loaded.constituents == self.constituents
        assert torch.equal(loaded.network(x, mask), tagger(x, mask))

    def test_the_formula_of_flops_agrees_with_a_count(self) -> None:
        tagger = self.make()
        if isinstance(tagger, Tagger):
            assert flops(tagger) == counted_flops(tagger)
        assert parameters(tagger) > 0

    def test_features_that_are_missing_are_named(self) -> None:
        for quantity in TAGGERS[self.name].needs:
            names = tuple(f"x_{name}" if quantity in name else name for name in EXAMPLE_INPUTS.features)
            without = dataclasses.replace(EXAMPLE_INPUTS, features=names)
            with pytest.raises(ModelError, match=f"needs {quantity}"):
                build(self.name, without, constituents=self.constituents, classes=self.classes)


def _close(expected: Tensor, found: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def _padded(x: Tensor, mask: Tensor, more: int) -> tuple[Tensor, Tensor]:
    longer = nn.functional.pad(x, (0, 0, 0, more), value=1e3)
    return longer, nn.functional.pad(mask, (0, more))


def _without_dropout(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0  # type: ignore[assignment]
    return network
