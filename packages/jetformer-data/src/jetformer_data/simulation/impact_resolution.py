"""How well the CMS tracker measures impact parameters: arXiv:1405.6569, figure 15, as read off for the JetClass card."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Upper ends of the regions in |eta|; below the first pt (GeV) or beyond the last |eta| the error is 0, as in the card.
ETA = (0.9, 1.4, 2.5)
PT = np.geomspace(0.1823, 134.713, 34)  # lower ends
# Errors in mm, one row a region.
D0 = """
.3543 .2809 .2304 .1917 .1737 .1434 .1060 .0893 .0753 .0670 .0577 .0524 .0452 .0376 .0350 .0324 .0283
.0258 .0237 .0211 .0191 .0164 .0150 .0143 .0130 .0130 .0116 .0116 .0110 .0110 .0110 .0104 .0109 .0110
.4564 .3580 .3010 .2353 .2026 .1595 .1383 .1119 .0926 .0816 .0663 .0553 .0488 .0431 .0399 .0357 .0313
.0277 .0233 .0221 .0214 .0180 .0155 .0141 .0128 .0134 .0121 .0108 .0101 .0101 .0101 .0102 .0088 .0095
.6970 .6046 .5315 .4306 .3398 .2788 .2387 .1814 .1557 .1230 .1009 .0914 .0767 .0638 .0544 .0468 .0425
.0385 .0331 .0278 .0256 .0236 .0217 .0196 .0176 .0165 .0157 .0150 .0144 .0144 .0137 .0130 .0137 .0137
"""
DZ = """
.3693 .3135 .3125 .2578 .2221 .1936 .1686 .1351 .1113 .0983 .0882 .0786 .0684 .0615 .0551 .0516 .0484
.0450 .0416 .0416 .0382 .0350 .0317 .0316 .0316 .0316 .0348 .0316 .0316 .0316 .0284 .0283 .0315 .0318
.7062 .6010 .5992 .4959 .3877 .3199 .2649 .2518 .1982 .1587 .1399 .1199 .1031 .0967 .0805 .0736 .0707
.0603 .0609 .0541 .0511 .0443 .0409 .0408 .0409 .0377 .0375 .0377 .0342 .0342 .0343 .0343 .0309 .0310
2.1717 2.0715 2.0679 1.7679 1.4393 1.1997 .9800 .8251 .6695 .5545 .4366 .3711 .3319 .2721 .2443 .2085 .1816
.1641 .1451 .1317 .1117 .1020 .1017 .0983 .0882 .0847 .0814 .0784 .0817 .0750 .0816 .0820 .0814 .0850
"""


def _table(text: str) -> Array:
    """Errors `[regions + 1, bins + 1]`; the last row and the first column are where nothing was measured."""
    return np.pad(np.array(text.split(), np.float64).reshape(len(ETA), len(PT)), ((0, 1), (1, 0)))


_TABLES = (_table(D0), _table(DZ))


def impact_errors(pt: Array, eta: Array) -> tuple[Array, Array]:
    """Errors of d0 and dz in mm of tracks with this pt (GeV) and eta."""
    region, column = np.searchsorted(ETA, np.abs(eta)), np.searchsorted(PT, pt)
    d0, dz = (table[region, column] for table in _TABLES)
    return d0, dz
