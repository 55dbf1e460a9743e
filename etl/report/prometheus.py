"""Text exposition format of Prometheus: families of gauges as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

Labels = Mapping[str, str]
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


class Gauge(Struct, frozen=True):
    """One family: its name, one sentence of help, and its samples, each with labels and a value."""

    name: str
    help: str
    samples: tuple[tuple[Labels, float], ...]


def exposition(gauges: Iterable[Gauge]) -> str:
    """The families in the order given; one without samples is left out."""
    return "".join(f"{line}\n" for gauge in gauges if gauge.samples for line in _lines(gauge))


def _lines(gauge: Gauge) -> Iterator[str]:
    yield f"# HELP {gauge.name} {gauge.help.translate(_HELP_ESCAPES)}"
    yield f"# TYPE {gauge.name} gauge"
    for labels, value in gauge.samples:
        yield f"{gauge.name}{_labels(labels)} {value!r}"


def _labels(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""
