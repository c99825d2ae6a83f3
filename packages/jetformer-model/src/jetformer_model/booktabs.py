"""Tables for the booktabs package of LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_SIGNS = str.maketrans({"%": r"\%", "_": r"\_", ",": r"\,", "±": r"$\pm$"})
Cells = Sequence[object]


def booktabs(headings: Cells, *groups: Iterable[Cells], left: int = 0) -> str:
    """Rows under their headings, with a line before each group; the first `left` columns are text, the others numbers."""
    lines = [rf"\begin{{tabular}}{{{'l' * left}{'r' * (len(headings) - left)}}}", r"\toprule", _row(headings)]
    for group in groups:
        lines += [r"\midrule", *map(_row, group)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _row(cells: Cells) -> str:
    return " & ".join(str(cell).translate(_SIGNS) for cell in cells) + r" \\"
