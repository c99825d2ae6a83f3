import dataclasses

import pytest
import torch

from jetformer_compress.calibration import Sharing, Widths, exact_format, format_for
from jetformer_compress.errors import CompressError
from jetformer_compress.quantisation import post_training, quantize
from jetformer_model.dataset import TaggingData
from jetformer_model.state import State
from jetformer_model.testing import example_state
from jetformer_model.training import Recipe, predict


def accuracy(network: torch.nn.Module, data: TaggingData) -> float:
    return float((predict(network, data.validation).argmax(1) == data.validation.labels.numpy()).mean())


def test_wide_formats_compute_what_the_float_network_does(trained: State, data: TaggingData) -> None:
    wide = post_training(trained, data.train, Widths(16, 16, 16, 14))
    exact, fixed = predict(trained.network, data.validation), predict(wide, data.validation)
    assert abs(exact - fixed).max() < 0.15
    narrow = predict(post_training(trained, data.train, Widths(4, 4, 4, 6)), data.validation)
    assert abs(exact - narrow).max() > 0.5  # so the bound above means something


def test_training_in_fixed_point_repairs_what_rounding_broke(trained: State, data: TaggingData) -> None:
    widths = Widths(weights=4, activations=6)
    before = accuracy(post_training(trained, data.train, widths), data)
    result = quantize(trained, data, widths, Recipe(epochs=6, batch_size=64, learning_rate=2e-3))
    assert result.validation_accuracy > before
    assert result.validation_accuracy > accuracy(trained.network, data) - 0.05
    assert result.state.kind == "fixed_point"
    assert isinstance(trained.network, type(example_state().network))


def test_every_number_has_the_width_asked_for(trained: State, data: TaggingData) -> None:
    network = post_training(trained, data.train, Widths(weights=5, biases=7, activations=9, tables=10))
    constants = [p.name for p in network.graph.of_kind("parameter") if "constant" in p.attributes]
    assert constants == ["one", *(f"blocks.{block}.feedforward.sign" for block in range(4))]
    expected = dict.fromkeys(("exponent", "exp", "sum", "reciprocal"), 10)
    expected |= {"weight": 5, "bias": 7, "class_token": 7, "offset": 7}
    for name, quantiser in network.named_quantisers():
        if name not in constants:
            assert (quantiser.kif.sum(-1) == expected.get(name.rsplit(".", 1)[-1], 9)).all(), name


@pytest.mark.parametrize(
    ("share", "of_weight", "of_score", "of_tokens"),
    (
        ("tensor", (1, 1), (1, 1, 1), (1, 1)),
        ("channel", (8, 1), (2, 1, 1), (1, 8)),
        ("element", (8, 3), (2, 9, 9), (8, 8)),
    ),
)
def test_formats_are_shared_as_asked_for(
    share: Sharing,
    of_weight: tuple[int, ...],
    of_score: tuple[int, ...],
    of_tokens: tuple[int, ...],
    trained: State,
    data: TaggingData,
) -> None:
    network = post_training(trained, data.train, Widths(weights_share=share, activations_share=share))
    names = ("embedding.weight", "blocks.0.attention.score", "tokens", "blocks.0.attention.exponent")
    shapes = [tuple(network.quantiser(name).kif.shape[:-1]) for name in names]
    assert shapes == [of_weight, of_score, of_tokens, ()]


def test_constants_are_held_exactly() -> None:
    values = torch.tensor([1.0, -1.0, 0.75, -4.0, 0.0])
    expected = [[0, 1, 2], [1, 0, 2], [0, 0, 2], [1, 2, 2], [0, -2, 2]]
    assert exact_format(values).tolist() == expected
    with pytest.raises(CompressError, match="16 fraction bits"):
        exact_format(torch.tensor([1 / 3]))


def test_logits_lie_on_their_grid_and_padding_changes_none(trained: State, data: TaggingData) -> None:
    network = post_training(trained, data.train, Widths())
    x, mask = data.validation.x, data.validation.mask.clone()
    mask[:, 5:] = False
    kept = x * mask.unsqueeze(-1)
    logits = network(kept, mask)
    assert torch.equal(network.quantiser("logits")(logits), logits)
    # padded places may hold anything at all, and there may be none of them
    assert torch.equal(network(torch.where(mask.unsqueeze(-1), x, 99.0), mask), logits)
    assert torch.equal(network(kept[:, :5], mask[:, :5]), logits)
    assert torch.equal(network(kept.flip(1), mask.flip(1)), logits)


def test_a_format_holds_its_range() -> None:
    low, high = torch.tensor([-1.0, 0.0, -0.3]), torch.tensor([0.9, 5.0, 0.01])
    assert format_for(low, high, 8).tolist() == [[1, 0, 7], [0, 3, 5], [1, -1, 8]]


def test_what_is_quantised_already_is_refused(trained: State, data: TaggingData) -> None:
    fixed = dataclasses.replace(trained, network=post_training(trained, data.train, Widths()))
    with pytest.raises(CompressError, match="in fixed point already"):
        quantize(fixed, data)


@pytest.mark.parametrize("width", (1, 17))
def test_impossible_widths_are_refused(width: int) -> None:
    with pytest.raises(CompressError, match="2 to 16 bits"):
        Widths(weights=width)
