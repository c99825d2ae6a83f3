"""Optional dependencies, imported where they are needed; an absent one is a sentence that says what to install."""

from __future__ import annotations

from functools import partial

from jetformer_data import extras

from .errors import ToolError

require = partial(extras.require, package="jetformer-fpga", error=ToolError)
