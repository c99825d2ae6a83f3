"""Multi-objective search for JetFormer architectures: validation accuracy up, FLOPs down."""

from jetformer_hpo.errors import SearchError
from jetformer_hpo.front import Candidate, most_accurate, pareto
from jetformer_hpo.search import Objective, search
from jetformer_hpo.space import Point, points
from jetformer_hpo.study import candidates, failures, opened

__all__ = [
    "Candidate",
    "Objective",
    "Point",
    "SearchError",
    "candidates",
    "failures",
    "most_accurate",
    "opened",
    "pareto",
    "points",
    "search",
]
