"""The log of departures from the documented record."""

from __future__ import annotations

from etl.transform.drift import LONGEST_VALUE, MOST_VALUES, Drift, DriftKind, DriftLog


def test_a_departure_is_noted_once() -> None:
    """The same departure in ten thousand records is one line of the report."""
    log = DriftLog()
    for _ in range(3):
        log.note("$.weight", DriftKind.UNKNOWN_FIELD)
    assert log.seen == {Drift("$.weight", DriftKind.UNKNOWN_FIELD)}


def test_values_are_cut_to_what_an_index_can_hold() -> None:
    """A value is part of a key in the database, so only its beginning is kept."""
    log = DriftLog()
    log.note("$.status", DriftKind.UNKNOWN_VALUE, "x" * 5000)
    assert log.seen == {Drift("$.status", DriftKind.UNKNOWN_VALUE, "x" * LONGEST_VALUE)}


def test_a_field_of_free_text_does_not_flood_the_report() -> None:
    """At most a hundred unknown values are recorded for one field; each field has its own hundred."""
    log = DriftLog()
    for n in range(MOST_VALUES + 50):
        log.note("$.status", DriftKind.UNKNOWN_VALUE, str(n))
    log.note("$.type", DriftKind.UNKNOWN_VALUE, "new")
    assert len(log.seen) == MOST_VALUES + 1
    assert Drift("$.type", DriftKind.UNKNOWN_VALUE, "new") in log.seen


def test_departures_sort_by_path_kind_and_value() -> None:
    """They are written in one order, so two runs that meet the same write the same."""
    seen = {
        Drift("$.b", DriftKind.UNKNOWN_FIELD),
        Drift("$.a", DriftKind.UNKNOWN_VALUE, "2"),
        Drift("$.a", DriftKind.UNKNOWN_VALUE, "1"),
        Drift("$.a", DriftKind.CHANGED_TYPE, "Expected"),
    }
    assert [(d.path, d.kind.value, d.value) for d in sorted(seen)] == [
        ("$.a", "changed_type", "Expected"),
        ("$.a", "unknown_value", "1"),
        ("$.a", "unknown_value", "2"),
        ("$.b", "unknown_field", ""),
    ]
