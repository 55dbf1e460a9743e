"""The medians of one scenario as a bar chart, drawn as SVG by hand: readable in a README, light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.table import NAMES, Medians

WIDTH, LABEL, ROW, GAP, HEAD = 760, 130, 18, 14, 46
COLOURS = {"vnsync": "#1a7f5a", "floor": "#8a8f98", "download": "#c3c7cd"}
OTHER = "#c2703d"


def chart(found: Medians, scenario: str, title: str) -> str:
    """One panel for each database and step: a bar for each subject, as long as the median took."""
    panels = list(dict.fromkeys((kind, step) for name, kind, step, _ in found if name == scenario))
    longest = max((f.wall for key, f in found.items() if key[0] == scenario), default=1.0)
    parts, y = [_text(0, 20, title, 13, bold=True)], HEAD
    for kind, step in panels:
        parts.append(_text(0, y, f"{NAMES[kind]}: {step}", 12, bold=True))
        bars = [(s, f.wall) for (name, k, st, s), f in found.items() if (name, k, st) == (scenario, kind, step)]
        parts += _bars(sorted(bars, key=lambda bar: bar[1]), y + 8, longest)
        y += ROW * len(bars) + GAP + 14
    style = "text{font-family:system-ui,sans-serif;fill:#57606a}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" role="img">'
        f"<title>{escape(title)}</title><style>{style}</style>{''.join(parts)}</svg>\n"
    )


def _bars(bars: Sequence[tuple[str, float]], top: int, longest: float) -> list[str]:
    parts = []
    for row, (subject, seconds) in enumerate(bars):
        y, length = top + row * ROW, max(2.0, seconds / longest * (WIDTH - LABEL - 70))
        colour = COLOURS.get(subject, OTHER)
        parts.append(_text(LABEL - 8, y + 11, subject, 12, anchor="end"))
        parts.append(f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{ROW - 5}" rx="2" fill="{colour}"/>')
        parts.append(_text(LABEL + length + 6, y + 11, f"{seconds:.2f} s", 11))
    return parts


def _text(x: float, y: float, text: str, size: int, *, bold: bool = False, anchor: str = "start") -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y}" font-size="{size}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'
