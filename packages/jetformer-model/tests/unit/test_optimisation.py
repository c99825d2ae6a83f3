import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from jetformer_model.config import preset
from jetformer_model.dataset import TaggingData, tagging_data
from jetformer_model.errors import ModelError
from jetformer_model.network import JetFormer
from jetformer_model.optimisation import Recipe, Schedule, make_optimiser
from jetformer_model.training import Run, train

TINY = preset("tiny", features=3, classes=5)


@pytest.fixture(scope="module")
def data(jets_file: Path) -> TaggingData:
    return tagging_data(jets_file, constituents=8)


def test_matrices_decay_and_nothing_else_does() -> None:
    network = JetFormer(TINY)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    decaying, free = make_optimiser(network, Recipe(weight_decay=0.3)).param_groups
    assert (decaying["weight_decay"], free["weight_decay"]) == (0.3, 0.0)
    assert {names[id(p)] for p in decaying["params"]} == {
        n for n, p in network.named_parameters() if p.dim() == 2
    }
    assert "class_token" in {names[id(p)] for p in free["params"]}


def test_everything_decays_in_the_published_setting() -> None:
    network = JetFormer(TINY)
    (group,) = make_optimiser(network, Recipe(weight_decay=0.3, decay_all=True)).param_groups
    assert len(group["params"]) == len(list(network.parameters()))


def rates(recipe: Recipe, losses: list[float], steps: int = 4) -> list[float]:
    """The learning rate after each epoch of so many steps."""
    optimiser = make_optimiser(nn.Linear(2, 3), recipe)
    schedule = Schedule(optimiser, recipe, steps * recipe.epochs)
    seen = []
    for loss in losses:
        for _ in range(steps):
            optimiser.step()
            schedule.after_step()
        schedule.after_epoch(loss)
        seen.append(optimiser.param_groups[0]["lr"])
    return seen


def test_schedules_are_the_published_ones() -> None:
    cosine = Recipe(epochs=4, learning_rate=0.2, scheduler="cosine")
    assert rates(cosine, [1.0] * 4) == pytest.approx([0.1707107, 0.1, 0.0292893, 0.0], abs=1e-6)
    plateau = Recipe(epochs=7, learning_rate=3e-4, scheduler="plateau")
    assert rates(plateau, [1, 2, 2, 2, 2, 2, 2]) == pytest.approx([3e-4] * 3 + [1.5e-4] * 3 + [1e-4])
    onecycle = rates(Recipe(epochs=5, learning_rate=0.1), [1.0] * 4)
    assert max(onecycle) == onecycle[0]  # the peak is after a fifth of the steps
    assert onecycle == sorted(onecycle, reverse=True)


@pytest.mark.parametrize("scheduler", ("cosine", "plateau"))
def test_a_killed_training_goes_on_with_any_schedule(
    data: TaggingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler: str
) -> None:
    recipe = Recipe(epochs=5, batch_size=256, scheduler=scheduler, clip_norm=0.5)  # type: ignore[arg-type]
    whole = train(data, TINY, recipe=recipe)

    from jetformer_model.checkpoint import Checkpoint

    class Killed(Exception):
        pass

    written = Checkpoint.save

    def save_twice(self: Checkpoint, parts: object, best: object, history: list[object]) -> None:
        written(self, parts, best, history)  # type: ignore[arg-type]
        if len(history) == 2:
            raise Killed

    monkeypatch.setattr(Checkpoint, "save", save_twice)
    with pytest.raises(Killed):
        train(data, TINY, recipe=recipe, run=Run(tmp_path / "partial"))
    monkeypatch.undo()
    resumed = train(data, TINY, recipe=recipe, run=Run(tmp_path / "partial"))
    assert resumed.history == whole.history
    expected = whole.state.network.state_dict()
    assert all(
        torch.equal(value, expected[name]) for name, value in resumed.state.network.state_dict().items()
    )


def test_clipping_and_precision_change_the_training(data: TaggingData) -> None:
    recipe = Recipe(epochs=1, batch_size=256)
    plain = train(data, TINY, recipe=recipe).best
    for change in ({"clip_norm": 1e-3}, {"precision": "bf16"}):
        other = train(data, TINY, recipe=dataclasses.replace(recipe, **change)).best  # type: ignore[arg-type]
        assert other.training_loss != plain.training_loss
        assert other.training_loss == pytest.approx(plain.training_loss, rel=0.2)


@pytest.mark.parametrize(
    ("change", "words"),
    (
        ({"scheduler": "linear"}, "expected one of onecycle, cosine, plateau, got 'linear'"),
        ({"precision": "fp8"}, "expected one of fp32, bf16"),
        ({"clip_norm": 0.0}, "'clip_norm': expected more than 0"),
        ({"learning_rate": float("nan")}, "'learning_rate': expected more than 0"),
    ),
)
def test_recipes_without_sense_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        Recipe(**change)  # type: ignore[arg-type]
