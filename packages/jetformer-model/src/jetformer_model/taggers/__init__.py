"""The taggers that JetFormer is compared with, each written from its publication, all called alike.

`build(name, inputs, constituents=, classes=)` gives a network `(x, mask) -> logits` for any name in `TAGGERS`.
"""

from jetformer_model.taggers.counting import counted_flops, flops, parameters
from jetformer_model.taggers.registry import TAGGERS, Published, TaggerSpec, build
from jetformer_model.taggers.tagger import Tagger

__all__ = [
    "TAGGERS",
    "Published",
    "Tagger",
    "TaggerSpec",
    "build",
    "counted_flops",
    "flops",
    "parameters",
]
