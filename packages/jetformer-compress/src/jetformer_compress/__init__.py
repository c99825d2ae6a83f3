"""JetFormers made small: structured pruning, weights of one bit, fixed-point quantisation-aware training."""

from jetformer_compress.binarisation import binarize
from jetformer_compress.calibration import Widths, calibrate
from jetformer_compress.errors import CompressError
from jetformer_compress.folding import fold
from jetformer_compress.pruning import foresee, prune
from jetformer_compress.pruning_plan import Pruning, plan, with_target
from jetformer_compress.quantisation import post_training, quantize

__all__ = [
    "CompressError",
    "Pruning",
    "Widths",
    "binarize",
    "calibrate",
    "fold",
    "foresee",
    "plan",
    "post_training",
    "prune",
    "quantize",
    "with_target",
]
