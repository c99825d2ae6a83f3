"""jetformer-hpo against the owners of the interfaces it consumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jetformer_data import schema
from jetformer_data.testing import ReaderContract, example_jets
from jetformer_hpo.search import objective
from jetformer_hpo.space import Point
from jetformer_model import state
from jetformer_model.flops import INTERFACE_VERSION as FLOPS_VERSION
from jetformer_model.flops import flops
from jetformer_model.training import Recipe, train

FEATURES = ("pt", "etarel", "phirel")
POINT = Point(blocks=2, embed_dim=8, heads=2, dropout=0.0)


def objective_of(path: Path) -> Any:
    return objective(
        path, Recipe(epochs=1, seed=3), constituents=6, features=FEATURES, norm="batch", activation="relu"
    )


class TestArraySchema(ReaderContract):
    """The search reads jets by the schema alone."""

    def use_jets(self, path: Path) -> Any:
        return objective_of(path)(POINT)


def test_versions_are_those_this_package_was_written_for() -> None:
    assert schema.VERSION.split(".")[0] == "1"
    assert FLOPS_VERSION.split(".")[0] == "1"
    assert state.INTERFACE_VERSION.split(".")[0] == "1"


def test_flops_are_the_counter_s(tmp_path: Path) -> None:
    schema.write(tmp_path / "jets.h5", example_jets(60, seed=2))
    evaluate = objective_of(tmp_path / "jets.h5")
    assert evaluate(POINT)[1] == flops(evaluate.architecture(POINT))


def test_a_searched_network_makes_a_valid_state(tmp_path: Path) -> None:
    schema.write(tmp_path / "jets.h5", example_jets(60, seed=2))
    evaluate = objective_of(tmp_path / "jets.h5")
    trained = train(evaluate.data, evaluate.architecture(POINT), recipe=evaluate.recipe)
    state.save(tmp_path / "network.safetensors", trained.state)
    state.check(tmp_path / "network.safetensors")
