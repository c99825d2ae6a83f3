"""Trained JetFormers made small: structured pruning and fixed-point quantisation-aware training."""

from jetformer_compress.calibration import Widths, calibrate
from jetformer_compress.ebops import ebops
from jetformer_compress.errors import CompressError
from jetformer_compress.lowering import lower
from jetformer_compress.pruning import plan, prune
from jetformer_compress.quantisation import post_training, quantize, quantize_to_budget

__all__ = [
    "CompressError",
    "Widths",
    "calibrate",
    "ebops",
    "lower",
    "plan",
    "post_training",
    "prune",
    "quantize",
    "quantize_to_budget",
]
