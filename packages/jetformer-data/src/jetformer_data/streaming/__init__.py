"""Shuffled ragged batches from any number of files, and weights that make spectra equal."""

from jetformer_data.streaming.batches import Batch
from jetformer_data.streaming.options import StreamOptions
from jetformer_data.streaming.stream import Stream
from jetformer_data.streaming.weighting import WeightTable, weight_table

__all__ = ["Batch", "Stream", "StreamOptions", "WeightTable", "weight_table"]
