"""Files of jets that others publish, read through one small interface: `open_source(path)` gives a `Source`."""

from jetformer_data.errors import SourceError
from jetformer_data.sources.expanding import expand
from jetformer_data.sources.opening import READABLE, READERS, open_source
from jetformer_data.sources.source import Source

__all__ = ["READABLE", "READERS", "Source", "SourceError", "expand", "open_source"]
