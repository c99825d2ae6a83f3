from pathlib import Path
from typing import Any

import optuna
import pytest

from jetformer_hpo.errors import SearchError
from jetformer_hpo.space import Space, load_space
from jetformer_model.config import Architecture
from jetformer_model.flops import flops


def test_the_published_space_has_96_points_and_30_costs() -> None:
    space = load_space("paper")
    assert len(space) == len(set(space)) == 96
    costs = set()
    for point in space:
        s: dict[str, Any] = space.settings(point)
        shape = {key: s[key] for key in ("blocks", "embed_dim", "heads")}
        costs.add(flops(Architecture.uniform(**shape, constituents=8, features=3, classes=5)))
    assert len(costs) == 30


@pytest.mark.parametrize("name", ("paper", "trigger"))
def test_a_proposed_point_is_of_the_space_and_is_stored_by_names(name: str) -> None:
    space, study = load_space(name), optuna.create_study()
    points = set(space)
    for _ in range(20):
        assert space.point(study.ask(space.distributions).params) in points


@pytest.mark.parametrize(
    ("axes", "sentence"),
    (
        ({}, "no axes"),
        ({"blocks": []}, "expected a list"),
        ({"blocks": 3}, "expected a list"),
        ({"blocks": [1, 1]}, "listed twice"),
    ),
)
def test_a_bad_space_is_one_sentence(axes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SearchError, match=sentence):
        Space.of(axes)


def test_an_unknown_space_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="expected paper, trigger"):
        load_space("huge")
    (tmp_path / "s.toml").write_text("blocks = [1]")
    with pytest.raises(SearchError, match=r"table \[axes\]"):
        load_space(str(tmp_path / "s.toml"))
