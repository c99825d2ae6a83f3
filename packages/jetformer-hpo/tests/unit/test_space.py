"""The space has the size and the FLOP counts of the publication."""

import optuna
import pytest

from jetformer_hpo.space import Point, points, suggest
from jetformer_model.flops import flops


def test_space_has_96_points_and_30_costs() -> None:
    costs = {flops(point.architecture(constituents=8, features=3, classes=5)) for point in points()}
    assert len(set(points())) == 96
    # six depths of five widths: neither heads nor dropout cost FLOPs
    assert len(costs) == 30


@pytest.mark.parametrize(
    ("blocks", "embed_dim", "heads", "expected"),
    ((4, 8, 2, 26_168), (6, 8, 2, 39_128), (5, 16, 2, 111_376), (3, 64, 2, 931_648)),
)
def test_points_have_the_published_flops(blocks: int, embed_dim: int, heads: int, expected: int) -> None:
    point = Point(blocks, embed_dim, heads, dropout=0.0)
    assert flops(point.architecture(constituents=8, features=3, classes=5)) == expected


def test_architecture_carries_everything() -> None:
    built = Point(3, 128, 8, 0.05).architecture(
        constituents=7, features=5, classes=11, norm="layer", activation="silu"
    )
    assert (built.blocks, built.embed_dim, built.heads, built.dropout) == (3, 128, 8, 0.05)
    assert (built.constituents, built.features, built.classes) == (7, 5, 11)
    assert (built.norm, built.activation) == ("layer", "silu")


@pytest.mark.parametrize("point", points(), ids=str)
def test_every_point_can_be_suggested(point: Point) -> None:
    trial = optuna.trial.FixedTrial(point.parameters())
    assert suggest(trial) == point
    assert Point.from_parameters(point.parameters()) == point
