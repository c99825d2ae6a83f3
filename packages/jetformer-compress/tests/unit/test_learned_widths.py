import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jetformer_compress.budget import Budget
from jetformer_compress.calibration import Widths, calibrated
from jetformer_compress.ebops import ebops
from jetformer_compress.errors import CompressError
from jetformer_compress.learned_widths import SPEED, LearnedActivation, LearnedWeight, learn, settled
from jetformer_compress.lowering import lower
from jetformer_compress.quantisation import WIDE, quantize, quantize_to_budget, settle
from jetformer_model import training
from jetformer_model.dataset import TaggingData
from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.integer_evaluation import integer_logits
from jetformer_model.quantiser import Quantiser
from jetformer_model.state import State
from jetformer_model.training import Recipe, Run, predict

QUICK = Recipe(epochs=3, batch_size=64, learning_rate=4e-3)
numbers = st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=7)


def few(data: TaggingData) -> TaggingData:
    return dataclasses.replace(data, train=data.train.head(320), validation=data.validation.head(100))


def learning(trained: State, data: TaggingData, widths: Widths = WIDE) -> FixedPointNetwork:
    network = lower(trained.network)
    learn(network, calibrated(network, data.train.head(200), widths), widths, learn_ranges=True)
    return network


@given(x=numbers, kif=st.tuples(st.integers(0, 1), st.integers(-2, 4), st.integers(-3, 6)))
@settings(max_examples=100, deadline=None)
def test_a_learned_format_rounds_as_the_format_that_it_becomes(x: list[float], kif: tuple[int, ...]) -> None:
    made, fixed, values = LearnedActivation(torch.tensor(kif), True, 0), Quantiser(), torch.tensor(x)
    fixed.set_format(made.settled(0.0))
    once = made(values)
    assert torch.equal(once, fixed(values))
    assert torch.equal(made(once), once)


@given(x=numbers, f=st.integers(-3, 6))
@settings(max_examples=100, deadline=None)
def test_a_learned_weight_rounds_as_the_format_that_it_becomes(x: list[float], f: int) -> None:
    made, fixed, values = LearnedWeight(torch.full((1,), f)), Quantiser(), torch.tensor(x)
    fixed.set_format(made.settled(values, 0.0))
    assert torch.equal(made(values), fixed(values))
    assert fixed.kif.sum() >= 0


def test_gradients_of_a_format_are_those_of_its_formula() -> None:
    made, x = (
        LearnedActivation(torch.tensor([1, 1, 2]), True, 0),
        torch.tensor([0.3, 5.0, -7.0, 1.1], requires_grad=True),
    )
    made(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 0.0, 0.0, 1.0]
    of_f, of_i = made.slow_f.grad, made.slow_i.grad
    assert of_f is not None
    assert of_i is not None
    assert of_f.item() == pytest.approx(SPEED * math.log(2) * ((0.3 - 0.25) + (1.1 - 1.0)), abs=1e-5)
    assert of_i.item() == pytest.approx(SPEED * math.log(2) * (2 - 2), abs=1e-5)


def test_a_width_of_0_gives_0_and_may_come_back() -> None:
    made, x = LearnedActivation(torch.tensor([1, 2, -2]), False, 0), torch.tensor([1.5, -0.3])
    assert made(x).tolist() == [0.0, 0.0]
    assert made.settled(0.0).tolist() == [0, 0, 0]
    made(x).sum().backward()
    assert made.slow_f.grad is not None
    assert made.slow_f.grad.item() > 0


def test_the_index_of_a_table_keeps_a_bit(trained: State, data: TaggingData) -> None:
    kif = settled(learning(trained, data), shift=-30.0)
    assert kif["blocks.0.attention.exponent"][1:].sum() == 1
    assert kif["tokens"].sum() == 0
    assert kif["embedding.weight"].sum() == 0


def test_a_network_that_learns_is_the_one_that_it_settles_to(trained: State, data: TaggingData) -> None:
    network = learning(trained, data).eval()
    fixed = settle(network, lower(trained.network), budget=math.inf).eval()
    jets = data.validation.head(50)
    assert (predict(network, jets) == predict(fixed, jets)).all()
    assert ebops(network).item() == pytest.approx(ebops(fixed).item(), rel=0.02)


def test_gradients_lower_ebops(trained: State, data: TaggingData) -> None:
    network = learning(trained, data)
    before = ebops(network)
    before.backward()
    for _, quantiser in network.named_quantisers():
        if isinstance(quantiser, LearnedActivation | LearnedWeight) and quantiser.slow_f.grad is not None:
            assert (quantiser.slow_f.grad >= 0).all()
            quantiser.slow_f.data -= 1.0 / SPEED * (quantiser.slow_f.grad > 0)
    assert ebops(network).item() < 0.9 * before.item()


def test_the_price_rises_while_there_are_too_many_bit_operations() -> None:
    budget = Budget(1000.0, steps=100)

    def price(number: float) -> float:
        found = torch.tensor(number, requires_grad=True)
        budget(found).backward()
        assert found.grad is not None
        return found.grad.item() * number

    first = price(5000.0)
    rising = [price(5000.0) for _ in range(59)]
    assert first < rising[10] < rising[40]
    falling = [price(500.0) for _ in range(20)]
    assert falling[0] < rising[40]
    assert falling[19] < falling[0]
    assert budget.log_first.exp().item() == pytest.approx(5000)


def test_a_front_meets_its_budgets_bit_for_bit(trained: State, data: TaggingData) -> None:
    budgets = [400_000.0, 150_000.0]
    results = list(quantize_to_budget(trained, few(data), budgets, recipe=QUICK))
    for budget, result in zip(budgets, results, strict=True):
        network, jets = result.state.network, data.validation.head(60)
        assert isinstance(network, FixedPointNetwork)
        assert result.state.metrics["ebops"] == ebops(network).item() <= budget
        assert (predict(network, jets) == integer_logits(network, jets.x.numpy(), jets.mask.numpy())).all()
        assert [epoch.epoch for epoch in result.history] == [1, 2, 3]
    assert results[1].state.metrics["ebops"] > 0.5 * budgets[1]
    assert results[1].state.metrics["mean_weight_bits"] < results[0].state.metrics["mean_weight_bits"]


def test_a_budget_that_cannot_be_met_is_refused(trained: State, data: TaggingData) -> None:
    with pytest.raises(CompressError, match="1 EBOPs are too few"):
        settle(learning(trained, data), lower(trained.network), budget=1.0)


def test_killed_anywhere_it_goes_on_with_the_same_bits(
    trained: State, data: TaggingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets, jets = [400_000.0, 200_000.0], few(data)
    undisturbed = list(quantize_to_budget(trained, jets, budgets, recipe=QUICK))
    calls, one_epoch = 0, training._one_epoch

    def counted(*arguments: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return one_epoch(*arguments)

    monkeypatch.setattr(training, "_one_epoch", counted)
    with pytest.raises(KeyboardInterrupt):
        list(quantize_to_budget(trained, jets, budgets, recipe=QUICK, run=Run(tmp_path / "kept")))
    resumed = list(quantize_to_budget(trained, jets, budgets, recipe=QUICK, run=Run(tmp_path / "kept")))
    assert calls == 7  # of the six epochs only the fifth was begun twice
    for before, after in zip(undisturbed, resumed, strict=True):
        assert after.history == before.history
        assert after.state.metrics == before.state.metrics


def test_a_teacher_changes_what_is_learned(trained: State, data: TaggingData) -> None:
    jets = few(data)
    alone = quantize(trained, jets, recipe=dataclasses.replace(QUICK, epochs=1))
    shifted = dataclasses.replace(trained.inputs, mean=tuple(m + 1 for m in trained.inputs.mean))
    taught = [
        quantize(trained, jets, recipe=dataclasses.replace(QUICK, epochs=1), teacher=teacher).best
        for teacher in (trained, dataclasses.replace(trained, inputs=shifted))
    ]
    losses = {alone.best.training_loss, *(best.training_loss for best in taught)}
    assert len(losses) == 3
    other = dataclasses.replace(trained, class_names=("a", "b", "c", "d", "e"))
    with pytest.raises(CompressError, match="teacher: expected the classes g, q, W, Z, t, got a, b"):
        quantize(trained, jets, teacher=other)
