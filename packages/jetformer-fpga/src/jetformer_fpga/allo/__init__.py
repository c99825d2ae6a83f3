"""The Allo backend: the integer network as readable kernels of the Allo language, with a schedule.

`grids` and `kernels` turn nodes into loops, `source` writes them down, `interpreter` executes what was written without
Allo, `driver` has Allo build and run it stage by stage. `floating` is the published float path.
"""

from .driver import MODES, Stage, validate
from .interpreter import Overflow, interpret
from .source import Program, program

__all__ = ["MODES", "Overflow", "Program", "Stage", "interpret", "program", "validate"]
