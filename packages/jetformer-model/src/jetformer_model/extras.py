"""Optional dependencies, imported where they are needed; an absent one is a sentence that says what to install."""

from __future__ import annotations

from functools import partial

from jetformer_data import extras
from jetformer_model.errors import ModelError

require = partial(extras.require, package="jetformer-model", error=ModelError)
