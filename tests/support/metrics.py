"""Metrics as Prometheus' Python client reads them."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""Values by name and labels."""


def parsed(text: str) -> Figures:
    """The samples of a text; each family has help and a type, and each series occurs once."""
    samples: Figures = {}
    for family in text_string_to_metric_families(text):
        assert (family.type, bool(family.documentation)) == ("gauge", True)
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples
            samples[key] = sample.value
    return samples


def figure(figures: Figures, name: str, **labels: object) -> float | None:
    """Value of vnsync's metric `name` with exactly these labels; None if there is none."""
    return figures.get((f"vnsync_{name}", frozenset((k, str(v)) for k, v in labels.items())))
