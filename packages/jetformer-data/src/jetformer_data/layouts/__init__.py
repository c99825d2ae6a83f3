"""Writers of published layouts, so that generated and converted jets can be read by other people's programs.

from jetformer_data.layouts import write_layout
with open_source("jets.h5") as source:
    written = write_layout(source.chunks(), "exported", "hls4ml")
"""

from jetformer_data.layouts.writing import LAYOUTS, Written, write_layout

__all__ = ["LAYOUTS", "Written", "write_layout"]
