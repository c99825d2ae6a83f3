"""Jets for JetFormer: the array schema, its checker, streams of batches, statistics, splits, weights and a generator."""

from jetformer_data.errors import DataError, MissingExtraError, SchemaError
from jetformer_data.jets import Jets, Normalisation, wrap_phi
from jetformer_data.padding import padded
from jetformer_data.schema import Reader, Writer, check, read, write
from jetformer_data.splitting import PaddedJets, file_mask, load, split_mask
from jetformer_data.statistics import Welford, normalise, training_normalisation, training_statistics
from jetformer_data.streaming import Batch, Stream, StreamOptions
from jetformer_data.streaming.weighting import WeightTable, weight_table

__version__ = "0.2.1"

__all__ = [
    "Batch",
    "DataError",
    "Jets",
    "MissingExtraError",
    "Normalisation",
    "PaddedJets",
    "Reader",
    "SchemaError",
    "Stream",
    "StreamOptions",
    "WeightTable",
    "Welford",
    "Writer",
    "check",
    "file_mask",
    "load",
    "normalise",
    "padded",
    "read",
    "split_mask",
    "training_normalisation",
    "training_statistics",
    "weight_table",
    "wrap_phi",
    "write",
]
