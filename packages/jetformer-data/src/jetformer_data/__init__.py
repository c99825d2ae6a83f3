"""Jets for JetFormer: the array schema, its checker, padding, statistics, splits and a generator."""

from jetformer_data.errors import DataError, MissingExtraError, SchemaError
from jetformer_data.jets import Jets, Normalisation, wrap_phi
from jetformer_data.padding import padded
from jetformer_data.schema import Reader, Writer, check, read, write
from jetformer_data.splitting import PaddedJets, load, split_mask
from jetformer_data.statistics import Welford, normalise, training_normalisation

__version__ = "0.1.0"

__all__ = [
    "DataError",
    "Jets",
    "MissingExtraError",
    "Normalisation",
    "PaddedJets",
    "Reader",
    "SchemaError",
    "Welford",
    "Writer",
    "check",
    "load",
    "normalise",
    "padded",
    "read",
    "split_mask",
    "training_normalisation",
    "wrap_phi",
    "write",
]
