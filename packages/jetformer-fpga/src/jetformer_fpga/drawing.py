"""Draws a network with bit widths and costs: as Mermaid text, which many pages render, and as an SVG file.

Operations that only rearrange wires are left out (arrows go through them), and constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .layers import FREE, Layer

HIDDEN = (*FREE, "parameter")
WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 250, 46, 280, 74, 20


def visible(layers: Sequence[Layer]) -> list[tuple[Layer, list[str]]]:
    """The layers that are drawn, each with the drawn layers that it is made from."""
    behind: dict[str, list[str]] = {}
    shown = []
    for layer in layers:
        sources = list(dict.fromkeys(name for source in layer.of for name in behind[source]))
        if layer.op in HIDDEN:
            behind[layer.name] = sources
            continue
        behind[layer.name] = [layer.name]
        shown.append((layer, sources))
    return shown


def words(layer: Layer) -> tuple[str, str]:
    """Two lines of a box."""
    low, high = layer.bits
    bits = f"{high} bit" if low == high else f"{low} to {high} bit"
    cost = f", {layer.lut:,} LUT" if layer.lut else ""
    shape = " x ".join(map(str, layer.shape)) or "1"
    return layer.name, f"{layer.op} [{shape}], {bits}{cost}"


def mermaid(layers: Sequence[Layer]) -> str:
    """A flow chart; costs are the tracer's estimates."""
    number = {layer.name: n for n, (layer, _) in enumerate(visible(layers))}
    lines = ["flowchart TD"]
    for layer, sources in visible(layers):
        name, text = words(layer)
        lines.append(f'    n{number[layer.name]}["{name}<br/>{text}"]')
        lines += [f"    n{number[source]} --> n{number[layer.name]}" for source in sources]
    return "\n".join(lines) + "\n"


def svg(layers: Sequence[Layer], title: str) -> str:
    """Boxes in rows, each below what it is made from; the darker, the more LUT."""
    drawn = visible(layers)
    place = _places(drawn)
    columns = max((column for _, column in place.values()), default=0) + 1
    rows = max((row for row, _ in place.values()), default=0) + 1
    most = max((layer.lut for layer, _ in drawn), default=0) or 1
    body = [_arrow(place[source], place[layer.name]) for layer, sources in drawn for source in sources]
    body += [_box(layer, place[layer.name], layer.lut / most) for layer, _ in drawn]
    width, height = 2 * MARGIN + (columns - 1) * ACROSS + WIDTH, 3 * MARGIN + (rows - 1) * DOWN + HEIGHT
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="11">',
            f'<title>{escape(title)}</title><rect width="100%" height="100%" fill="white"/>',
            f'<text x="{MARGIN}" y="{MARGIN}" font-size="14">{escape(title)}</text>',
            *body,
            "</svg>",
            "",
        ]
    )


def _places(drawn: Sequence[tuple[Layer, list[str]]]) -> dict[str, tuple[int, int]]:
    """Row and column: a row below its lowest source, the first free column from that of its first source on."""
    place: dict[str, tuple[int, int]] = {}
    taken: set[tuple[int, int]] = set()
    for layer, sources in drawn:
        row = max((place[source][0] + 1 for source in sources), default=0)
        column = place[sources[0]][1] if sources else 0
        while (row, column) in taken:
            column += 1
        place[layer.name] = (row, column)
        taken.add(place[layer.name])
    return place


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    row, column = place
    return MARGIN + column * ACROSS, 2 * MARGIN + row * DOWN


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x1, y1), (x2, y2) = _corner(start), _corner(end)
    a, b = x1 + WIDTH // 2, x2 + WIDTH // 2
    middle = (y1 + HEIGHT + y2) // 2
    path = f"M {a} {y1 + HEIGHT} C {a} {middle}, {b} {middle}, {b} {y2}"
    if (
        end[0] - start[0] > 1
    ):  # a long one leaves at the side, so that it does not run behind the boxes between
        side = max(x1, x2) + WIDTH + 12
        a, b, bend = y1 + HEIGHT // 2, y2 + HEIGHT // 2, DOWN // 2
        path = f"M {x1 + WIDTH} {a} C {side} {a + bend}, {side} {b - bend}, {x2 + WIDTH} {b}"
    return f'<path d="{path}" fill="none" stroke="#999"/>'


def _box(layer: Layer, place: tuple[int, int], share: float) -> str:
    x, y = _corner(place)
    name, text = words(layer)
    shade = f"hsl(28, 90%, {97 - 40 * share:.0f}%)"
    return (
        f'<g><rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{shade}" stroke="#555"/>'
        f'<text x="{x + 8}" y="{y + 18}" font-weight="bold">{escape(name)}</text>'
        f'<text x="{x + 8}" y="{y + 35}">{escape(text)}</text></g>'
    )
