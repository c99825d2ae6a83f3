import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from jetformer_hpo.sampler_comparison import Problem, run
from jetformer_hpo.space import Space
from jetformer_hpo.tabulated import Table, load_table

words = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=5)
# of one type an axis: Python takes 1, 1.0 and True for the same
values = st.one_of(
    *(
        st.lists(of, min_size=1, max_size=4, unique=True)
        for of in (words, st.integers(-9, 9), st.floats(-1, 1))
    )
)
spaces = st.dictionaries(words, values, min_size=1, max_size=3).map(Space.of)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(spaces, st.data(), st.dictionaries(words, words))
def test_a_table_survives_its_file(space, data, provenance):
    table = Table(space, {"accuracy": "maximize", "lut": "minimize"}, provenance)
    for point in data.draw(st.lists(st.sampled_from(list(space)), unique=True)):
        table.add(point, {"accuracy": data.draw(numbers), "lut": data.draw(st.integers(0, 10**9))})
    with tempfile.TemporaryDirectory() as folder:
        table.write(Path(folder, "t.json"))
        assert load_table(Path(folder, "t.json")) == table


@given(
    st.sampled_from(("nsga2", "nsga3", "tpe", "random", "grid")),
    st.integers(1, 20),
    st.integers(0, 99),
    st.data(),
)
@settings(deadline=None)
def test_runs_never_try_a_point_twice_and_gain_at_most_what_all_points_reach(sampler, trials, seed, data):
    space = Space.of({"blocks": [1, 2, 3, 4], "embed_dim": [8, 16, 32]})
    table = Table(space, {"accuracy": "maximize", "flops": "minimize"}, {})
    accuracies = data.draw(st.permutations(range(len(space))))
    for point, accuracy in zip(space, accuracies, strict=True):
        table.add(point, {"accuracy": accuracy / 12, "flops": point[0] * point[1] ** 2})
    problem = Problem.of(table, ("accuracy", "flops"))
    tried = run(sampler, table, problem, trials, seed=seed, start_up=3)
    assert len(tried) == len(set(tried)) == min(trials, len(space))
    gained = problem.hypervolumes([table(point) for point in tried])
    assert (gained[1:] >= gained[:-1] - 1e-12).all()
    assert gained[-1] <= problem.hypervolumes(list(table.rows.values()))[-1] + 1e-12
