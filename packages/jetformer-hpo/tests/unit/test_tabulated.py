import json

import pytest

from jetformer_hpo.errors import SearchError
from jetformer_hpo.space import Space, load_space
from jetformer_hpo.tabulated import Table, load_table, tabulate

AXES = {"blocks": [1, 2, 3], "embed_dim/heads": ["8/2", "16/2"], "dropout": [0.0, 0.05]}


def empty():
    return Table(Space.of(AXES), {"accuracy": "maximize", "flops": "minimize"}, {"seed": 3})


def measured(point):
    return {"accuracy": point[0] / 7 - point[2], "flops": 10 * point[0] + len(point[1]), "noise": 1}


def test_a_table_survives_its_file(tmp_path):
    table = empty()
    assert tabulate(table, measured, tmp_path / "new" / "t.json") == {}
    read = load_table(tmp_path / "new" / "t.json")
    assert read == table
    assert read.complete
    assert read((2, "16/2", 0.05)) == {"accuracy": 2 / 7 - 0.05, "flops": 24}
    assert read.provenance == {"seed": 3}


def test_an_interrupted_measurement_keeps_what_it_has_and_goes_on_from_there(tmp_path):
    asked = []

    def interrupted(point):
        asked.append(point)
        if len(asked) == 5:
            raise KeyboardInterrupt
        return measured(point)

    with pytest.raises(KeyboardInterrupt):
        tabulate(empty(), interrupted, tmp_path / "t.json")
    half = load_table(tmp_path / "t.json")
    assert len(half.rows) == 4
    assert not half.complete
    tabulate(half, interrupted, tmp_path / "t.json")
    assert load_table(tmp_path / "t.json").complete
    assert len(asked) == 12 + 1  # only the interrupted one twice


def test_points_that_fail_are_named_and_the_others_measured(tmp_path):
    def fragile(point):
        if point[0] == 2:
            raise ValueError("the loss is no number")
        return measured(point)

    seen = []
    failures = tabulate(empty(), fragile, tmp_path / "t.json", progress=seen.append)
    assert set(failures.values()) == {"the loss is no number"}
    assert {point[0] for point in failures} == {2}
    assert len(load_table(tmp_path / "t.json").rows) == 8
    assert len(seen) == 12
    assert seen[-1] == 8


def test_values_that_are_no_numbers_are_refused():
    for accuracy in (float("nan"), float("inf")):
        with pytest.raises(SearchError, match="expected a number for 'accuracy'"):
            empty().add((1, "8/2", 0.0), {"accuracy": accuracy, "flops": 1})
    with pytest.raises(SearchError, match="expected a number for 'flops'"):
        empty().add((1, "8/2", 0.0), {"accuracy": 0.5})


def test_a_point_that_was_not_measured():
    with pytest.raises(SearchError, match=r"no values for \{'blocks': 1"):
        empty()((1, "8/2", 0.0))


def test_a_table_that_is_not_there():
    with pytest.raises(SearchError, match=r"'nowhere\.json': expected a readable file or one of paper_8x3"):
        load_table("nowhere.json")


@pytest.mark.parametrize(
    ("change", "reason"),
    (
        ({"format": "other"}, "expected format"),
        ({"rows": [[4, "8/2", 0.0, 0.5, 1]]}, "no point of the space"),
        ({"rows": [[1, "8/2", 0.0, 0.5, 1]] * 2}, "has a row already"),
        ({"rows": [[1, "8/2", 0.0, 0.5]]}, "shorter"),
        ({"rows": [[1, "8/2", 0.0, "much", 1]]}, "must be real number"),
        ({"quantities": {"accuracy": "up", "flops": "minimize"}}, "expected maximize or minimize"),
        ({"axes": None}, "not a table"),
    ),
)
def test_a_file_that_is_no_table(tmp_path, change, reason):
    table = empty()
    table.add((1, "8/2", 0.0), measured((1, "8/2", 0.0)))
    table.write(tmp_path / "t.json")
    stored = json.loads((tmp_path / "t.json").read_text())
    (tmp_path / "t.json").write_text(json.dumps(stored | change))
    with pytest.raises(SearchError, match=reason):
        load_table(tmp_path / "t.json")


def test_the_table_that_ships():
    table = load_table("paper_8x3")
    assert table.space == load_space("paper")
    assert table.complete
    assert len({row["flops"] for row in table.rows.values()}) == 30
    assert all(0.2 < row["accuracy"] < 1 for row in table.rows.values())
    assert {"command", "data", "data_sha256", "seed", "versions", "date"} <= set(table.provenance)
