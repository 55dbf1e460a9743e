"""The figures as tables: medians, and their ratio to whatever they are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.measuring import Figures, median
from benchmarks.scenarios import Key

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
COMPARED_WITH = {"agency": "one by one", "growth": None, "history": "0 days"}

Medians = Mapping[Key, Figures]


def medians(figures: Mapping[Key, Sequence[Figures]]) -> Medians:
    """The median of every key."""
    return {key: median(rounds) for key, rounds in figures.items()}


def tables(found: Medians, *, base: str = "floor") -> str:
    """Every scenario and database as a markdown table; ratios are to `base`, where it was measured."""
    groups = dict.fromkeys((scenario, kind) for scenario, kind, _, _ in found)
    return "\n".join(_table(found, scenario, kind, base) for scenario, kind in groups)


def _table(found: Medians, scenario: str, kind: str, base: str) -> str:
    here = {key: figures for key, figures in found.items() if key[:2] == (scenario, kind)}
    steps = list(dict.fromkeys(step for _, _, step, _ in here))
    subjects = list(dict.fromkeys(subject for _, _, _, subject in here))
    reference = next((b for b in (base, "one by one", "0 days") if b in subjects), None)
    lines = [f"**{_spaced(scenario)}, {NAMES[kind]}**", "", f"| | {' | '.join(steps)} | memory, written | size |"]
    lines.append(f"|---|{'---|' * (len(steps) + 2)}")
    for subject in subjects:
        row = [here.get((scenario, kind, step, subject)) for step in steps]
        beside = [here.get((scenario, kind, step, reference or "")) for step in steps]
        cells = [_cell(one, other) for one, other in zip(row, beside, strict=True)]
        lines.append(f"| {subject} | {' | '.join(cells)} | {_used(row)} | {_size(row[0])} |")
    return "\n".join([*lines, ""])


def _cell(one: Figures | None, other: Figures | None) -> str:
    if one is None:
        return ""
    ratio = f" ({one.wall / other.wall:.1f} x)" if other and other is not one else ""
    server = f" + {one.server_cpu:.1f}" if one.server_cpu is not None else ""
    return f"{one.wall:.2f} s{ratio}, cpu {one.cpu:.1f}{server}"


def _used(row: Iterable[Figures | None]) -> str:
    """The most memory that any step took, and what the first and the second step wrote."""
    known = [one for one in row if one is not None]
    peak = max((one.memory for one in known), default=0.0)
    written = ", ".join(f"{one.written:.0f}" for one in known if one.written is not None)
    return f"{peak:.0f} MiB; {written} MB"


def _size(first: Figures | None) -> str:
    """The database's, after the first step."""
    return f"{first.size:.0f} MB" if first and first.size is not None else ""


def _spaced(text: str) -> str:
    """Thousands apart, as people read them."""
    return " ".join(f"{int(word):,}".replace(",", " ") if word.isdecimal() else word for word in text.split())
