"""Fixed-point JetFormer states to pipelined Verilog, proven equal bit by bit.

from jetformer_fpga import synth, verify
synth("fixed.safetensors", "firmware")
verify("firmware", "jets.h5", split="test")
"""

from .errors import FpgaError, ProjectError, StateError, ToolError
from .project import Project, synth
from .state import State
from .state import read as read_state
from .verification import Verification, verify

__all__ = [
    "FpgaError",
    "Project",
    "ProjectError",
    "State",
    "StateError",
    "ToolError",
    "Verification",
    "read_state",
    "synth",
    "verify",
]
__version__ = "0.2.0"
