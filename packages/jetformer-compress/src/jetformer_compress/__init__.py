"""Trained JetFormers made small: structured pruning and fixed-point quantisation-aware training."""

from jetformer_compress.calibration import Widths, calibrate
from jetformer_compress.errors import CompressError
from jetformer_compress.folding import fold
from jetformer_compress.pruning import plan, prune
from jetformer_compress.quantisation import post_training, quantize

__all__ = ["CompressError", "Widths", "calibrate", "fold", "plan", "post_training", "prune", "quantize"]
