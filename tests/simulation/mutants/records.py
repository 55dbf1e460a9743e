"""Bugs in reading records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from etl.domain import tables
from etl.load import partial, publish
from etl.sync import page_processor
from etl.transform import decode, normalize
from tests.simulation.mutants.planting import Wrong, mutant


@mutant(publish.PublishTransaction, "finish", "records that cannot be used are dropped without a trace")
def quarantine_is_silent(right: Any) -> Any:
    return lambda self, result, found, more: right(
        self, replace(result, quarantined=0), replace(found, rejected=[]), more
    )


@mutant(
    page_processor,
    "refuse_strangers",
    "another customer's numbers are taken in",
    test="tests/integration/test_agency.py::test_a_row_of_another_customer_stops_its_account",
)
def strangers_are_welcome(right: Any) -> Any:
    return lambda account_id, roster, numbers: None


def _number_row(change: Callable[[Any, list[Any]], None]) -> Wrong:
    """A wrong version of a number's row: `change` edits the list of its values."""

    def wrong(right: Any) -> Any:
        def number(self: Any, sent: Any) -> tuple[Any, ...]:
            row = list(right(self, sent))
            change(self, row)
            return tuple(row)

        return number

    return wrong


@mutant(normalize.Normalizer, "_number", "null is taken for not reported")
def null_is_missing(right: Any) -> Any:
    def forget(self: Any, row: list[Any]) -> None:
        if row[8] is None:
            row[-1] |= tables.missing_bit(tables.VIRTUAL_NUMBERS, "comment")
            self.unreported = True

    return _number_row(forget)(right)


@mutant(normalize.Normalizer, "_number", "not reported is taken for null", under=("edition",))
def missing_is_null(right: Any) -> Any:
    def claim(self: Any, row: list[Any]) -> None:
        row[-1] = 0

    return _number_row(claim)(right)


@mutant(normalize.Normalizer, "_number", "an empty text is stored as null")
def empty_is_null(right: Any) -> Any:
    def confuse(self: Any, row: list[Any]) -> None:
        row[8] = row[8] or None

    return _number_row(confuse)(right)


@mutant(normalize.Normalizer, "_number", "a local time is converted")
def local_time_is_converted(right: Any) -> Any:
    def convert(self: Any, row: list[Any]) -> None:
        row[4] = row[4] and row[4].replace(" 01:30", " 00:30")

    return _number_row(convert)(right)


@mutant(normalize.Normalizer, "_number", "the order of a number's children makes a new version")
def order_matters(right: Any) -> Any:
    def number(self: Any, sent: Any) -> tuple[Any, ...]:
        row = list(right(self, sent))
        if len(sent.campaigns) > 1:
            row[10] = normalize._json({"order": [c.campaign_id for c in sent.campaigns]})
        return tuple(row)

    return number


@mutant(
    normalize.Normalizer,
    "_keep",
    "of contradicting copies of a shared row the last one wins",
    test="tests/unit/transform/test_normalize.py::test_of_contradicting_copies_the_same_one_wins_in_any_order",
)
def last_copy_wins(right: Any) -> Any:
    def keep(self: Any, *arguments: Any) -> None:
        key, row = arguments[-2:]
        right(self, *arguments)
        next(a for a in arguments if isinstance(a, dict))[key] = row

    return keep


@mutant(partial, "keep_unseen", "an unreadable element closes the link that it may stand for", under=("bad_element",))
def unreadable_closes_its_link(right: Any) -> Any:
    return lambda connection, account_id, partly_read: None


@mutant(decode, "without_refused", "a refused element refuses the whole number", under=("bad_element",))
def element_refuses_the_number(right: Any) -> Any:
    return lambda record: (record, [])


@mutant(decode, "take_extras", "fields that are not known are dropped")
def unknown_fields_are_dropped(right: Any) -> Any:
    return lambda *arguments, **more: None
