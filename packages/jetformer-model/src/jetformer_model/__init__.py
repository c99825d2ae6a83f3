"""JetFormer: a small masked Transformer for jet tagging, its training, its state files and its exact FLOP count.

The FLOP counter stays in `jetformer_model.flops`, the name of its interface.
"""

from jetformer_model.config import PRESETS, Architecture, preset
from jetformer_model.dataset import Dataset, TaggingData, open_split, tagging_data
from jetformer_model.errors import ModelError, StateError
from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.inputs import Inputs
from jetformer_model.network import JetFormer
from jetformer_model.state import State, load, save
from jetformer_model.training import Recipe, Run, TrainingResult, fit, predict, train

__all__ = [
    "PRESETS",
    "Architecture",
    "Dataset",
    "FixedPointNetwork",
    "Inputs",
    "JetFormer",
    "ModelError",
    "Recipe",
    "Run",
    "State",
    "StateError",
    "TaggingData",
    "TrainingResult",
    "fit",
    "load",
    "open_split",
    "predict",
    "preset",
    "save",
    "tagging_data",
    "train",
]
