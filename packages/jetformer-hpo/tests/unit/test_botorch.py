"""Of the extra `botorch`; skipped where it is not installed."""

import warnings

import numpy as np
import optuna
import pytest

from jetformer_hpo.hypervolume import hypervolume
from jetformer_hpo.samplers import make_sampler
from jetformer_hpo.space import Space

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    pytest.importorskip("botorch", reason="the extra botorch is not installed")
    pytest.importorskip("optuna_integration", reason="the extra botorch is not installed")
    from botorch.utils.multi_objective.hypervolume import Hypervolume

SPACE = Space.of({"blocks": [1, 2, 3, 4, 5], "embed_dim/heads": ["8/2", "16/2", "32/2"]})


def test_hypervolume_agrees_with_botorch():
    rng = np.random.default_rng(3)
    reference = Hypervolume(torch.zeros(2, dtype=torch.float64))
    for points in (1, 2, 5, 17, 80):
        goodness = rng.random((points, 2))
        front = [g for g in goodness if not ((goodness >= g).all(1) & (goodness > g).any(1)).any()]
        assert hypervolume(goodness) == pytest.approx(
            reference.compute(torch.tensor(np.array(front))), abs=1e-12
        )


def test_it_models_what_it_was_told():
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=make_sampler("botorch", seed=1, space=SPACE, start_up=5)
    )
    for _ in range(7):
        trial = study.ask(SPACE.distributions)
        blocks, width = SPACE.point(trial.params)
        study.tell(trial, [blocks / 7, 100 * blocks * float(width.split("/")[0])])
    assert {SPACE.point(trial.params) for trial in study.trials} <= set(SPACE)
