"""JetFormers made small: structured pruning, weights of one bit, fixed-point quantisation-aware training."""

from jetformer_compress.binarisation import binarize
from jetformer_compress.calibration import Widths, calibrate
from jetformer_compress.ebops import ebops
from jetformer_compress.errors import CompressError
from jetformer_compress.lowering import lower
from jetformer_compress.pruning import foresee, prune
from jetformer_compress.pruning_plan import Pruning, plan, with_target
from jetformer_compress.quantisation import post_training, quantize, quantize_to_budget

__all__ = [
    "CompressError",
    "Pruning",
    "Widths",
    "binarize",
    "calibrate",
    "ebops",
    "foresee",
    "lower",
    "plan",
    "post_training",
    "prune",
    "quantize",
    "quantize_to_budget",
    "with_target",
]
