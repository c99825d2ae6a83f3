"""Who trains which point: one row a point in the study's database, so that no two workers of any number train the same.

The rows are numbered by slots, at most as many as trials were asked for: a budget that several workers share is not overrun.
"""

from __future__ import annotations

import json

from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from jetformer_hpo.space import Point

_CLAIMS = Table(
    "jetformer_claims",
    MetaData(),
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("point", String(512), primary_key=True),
    Column("slot", Integer, nullable=False),
    Column("trial", Integer, nullable=False),
    UniqueConstraint("study_id", "slot"),
)


def make_table(engine: Engine) -> None:
    """Unless it is there."""
    _CLAIMS.create(engine, checkfirst=True)


class Claims:
    """Claims of one study. A trial is named by its number."""

    def __init__(self, engine: Engine, study_id: int) -> None:
        self.engine = engine
        self.study = _CLAIMS.c.study_id == study_id
        self.study_id = study_id

    def claim(self, point: Point, trial: int, slots: int, taken: int) -> bool:
        """Whether the point is the trial's now: nobody had it, and not all slots are taken.

        taken: how many were when somebody looked last
        """
        while taken < slots:
            row = {"study_id": self.study_id, "point": _key(point), "slot": taken, "trial": trial}
            try:
                with self.engine.begin() as connection:
                    connection.execute(insert(_CLAIMS).values(row))
                return True
            except IntegrityError:  # somebody took the point or the slot in between
                claimed = self.points()
                if point in claimed:
                    return False
                taken = len(claimed)
        return False

    def take_over(self, point: Point, before: int, trial: int) -> bool:
        """Give a point from a trial that died to another; False if somebody else was faster."""
        mine = (self.study, _CLAIMS.c.point == _key(point), _CLAIMS.c.trial == before)
        with self.engine.begin() as connection:
            return connection.execute(update(_CLAIMS).where(*mine).values(trial=trial)).rowcount == 1

    def points(self) -> dict[Point, int]:
        """All points that are claimed, and by which trials."""
        with self.engine.begin() as connection:
            rows = connection.execute(select(_CLAIMS.c.point, _CLAIMS.c.trial).where(self.study)).all()
        return {tuple(json.loads(point)): trial for point, trial in rows}


def _key(point: Point) -> str:
    return json.dumps(point)
