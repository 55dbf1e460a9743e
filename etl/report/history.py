"""History of one number, as tables for people and as an object for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import starmap
from typing import Any

from msgspec.structs import asdict

from etl.read.history import NumberHistory
from etl.read.newly_known import without
from etl.read.timeline import Gap, Span
from etl.report.fields import described, differences, known_now, noun
from etl.report.terminal.tables import Cell, Table
from etl.report.values import plain
from etl.report.wording import asked, counted, moment, named, printable, quoted

EXPLAINED = "Each change happened between the previous sync and the time shown."


def several(wanted: str, histories: Sequence[NumberHistory]) -> str:
    """Sentence above the histories when more than one number matches."""
    accounts = counted(len({history.account_id for history in histories}), "account")
    return f"{printable(wanted)} matches {counted(len(histories), 'number')} in {accounts}."


def heading(history: NumberHistory, as_of: datetime | None) -> str:
    """The number and its account, whether the last observation listed it, and whether its whole record was usable."""
    zone = f" ({printable(history.timezone)})" if history.timezone else ""
    who = f"number {history.virtual_number_id} of {named(history.account_id, history.account_name)}{zone}"
    without_phone = "phone number erased" if history.number[-1].erased_at else "without a phone number"
    phone = printable(history.virtual_phone_number or without_phone)
    known = f"\nAs known at {asked(as_of)} UTC." if as_of else ""
    return f"{phone}: {who}\n{_state(history)}{_doubt(history)}{known}"


def _state(history: NumberHistory) -> str:
    first = f"First seen {moment(history.number[0].valid_from)} UTC"
    if history.listed:
        return f"{first}; listed at the last observation, {moment(history.observed_at)}."
    last = history.number[-1]
    gone = _moved(history, last.valid_to, came=False) or "gone"
    return f"{first}; {gone} since {moment(last.valid_to)}; last observation {moment(history.observed_at)}."


def _moved(history: NumberHistory, at: datetime | None, *, came: bool) -> str | None:
    """The account that the number came from (`came`), or went to, at that moment; None if it did not move then."""
    move = next((m for m in history.moves if m.at == at and m.came is came), None)
    if move is None:
        return None
    return f"moved {'from' if came else 'to'} {named(move.account_id, move.account_name)}"


def _doubt(history: NumberHistory) -> str:
    """Line about the parts of its record in quarantine; empty if there are none."""
    if not history.quarantined:
        return ""
    first, *more = history.quarantined
    others = f", and {len(more)} more" if more else ""
    reason = f"{printable(first.path)}: {printable(first.reason)}{others}"
    return f"\nParts of its record could not be used at the last observation ({reason}): values may be older than that."


def tables(history: NumberHistory, *, then: bool) -> Iterator[Table]:
    """Tables of its values, campaigns, site blocks and scenarios; `then`: as of an earlier moment, not of now."""
    open_end = "then" if then else "now"
    yield _table("Values", "values", _own_rows(history, open_end))
    kinds: list[tuple[str, Sequence[Span], Callable[[Span], str]]] = [
        ("Campaigns", history.campaigns, _campaign),
        ("Site blocks", history.site_blocks, _block),
        ("Scenarios and their rules", history.scenarios, _scenario),
    ]
    for title, spans, words in kinds:
        if spans:
            yield _table(title, "assigned to", [_row(s, words(s) + _known(s), open_end) for s in spans])


def _table(title: str, column: str, rows: Sequence[Sequence[Cell]]) -> Table:
    return Table(["from (UTC)", "until", column], rows, title=title)


def _row(span: Span | Gap, words: str, open_end: str) -> list[Cell]:
    return [moment(span.valid_from), moment(span.valid_to) if span.valid_to else open_end, words]


def _own_rows(history: NumberHistory, open_end: str) -> list[list[Cell]]:
    """Rows for its versions and gaps: the first version, and the first after a gap, in full; of others the changes."""
    after_gap = {gap.valid_to for gap in history.gaps}
    rows: list[list[Cell]] = []
    gaps = {gap.valid_from: gap for gap in history.gaps}
    for i, span in enumerate(history.number):
        before = None if i == 0 or span.valid_from in after_gap else history.number[i - 1]
        came = None if before else _moved(history, span.valid_from, came=True)
        rows.append(_row(span, (f"{came}: " if came else "") + _own_words(before, span), open_end))
        if span.valid_to in gaps:
            left = _moved(history, span.valid_to, came=False) or "deleted"
            rows.append(_row(gaps[span.valid_to], f"not listed: {left}, and came back", open_end))
    return rows


def _own_words(before: Span | None, span: Span) -> str:
    """A version in full, or its changes. After a version with erased content it is in full: its changes are unknown."""
    if before is None or (before.erased_at and not span.erased_at):
        parts = [described(span.values, phone=span.erased_at is None)]
    else:
        parts = [*differences(before.values, without(span.values, span.known)), *starmap(known_now, span.known.items())]
    erased = f"personal content erased {moment(span.erased_at)}" if span.erased_at else ""
    return "; ".join(filter(None, [*parts, erased]))


def _known(span: Span) -> str:
    """The fields of a link that became known when the span began; their values are in the text before."""
    return f"; known now: {', '.join(map(noun, span.known))}" if span.known else ""


def _named(kind: str, identifier: Any, name: Any) -> str:
    return f"{kind} {identifier}" if name is None else f"{quoted(name)} ({identifier})"


def _campaign(span: Span) -> str:
    at = span.values
    site = "" if at["site_id"] is None else f" on {_named('site', at['site_id'], at['site_domain_name'])}"
    return _named("campaign", at["campaign_id"], at["campaign_name"]) + site


def _block(span: Span) -> str:
    at = span.values
    block = _named("block", at["site_block_id"], at["site_block_name"])
    tracking = {True: ", tracking", False: ", not tracking"}.get(at["is_tracking"], "")
    return f"{block} of {_named('campaign', at['campaign_id'], at['campaign_name'])}{tracking}"


def _scenario(span: Span) -> str:
    at = span.values
    rule = f" by rule {at['call_processing_rule_id']}" if at["call_processing_rule_id"] else ""
    state = {True: ", on", False: ", off"}.get(at["is_active"], "")
    return _named("scenario", at["scenario_id"], at["scenario_name"]) + rule + state


# -- for programs


def as_object(wanted: str, histories: Sequence[NumberHistory], as_of: datetime | None) -> dict[str, Any]:
    """The histories as one JSON object: a span has its columns, `valid_from`, `after`, `valid_to`, and `known`.

    `known`: fields that were reported for the first time when the span began. Spans of the number itself also have
    `erased_at`.
    """
    return {"number": wanted, "as_of": plain(as_of), "matches": [_number_history(history) for history in histories]}


def _number_history(history: NumberHistory) -> dict[str, Any]:
    members = {name: _spans(value) if _is_spans(value) else plain(value) for name, value in asdict(history).items()}
    for span, own in zip(members["number"], history.number, strict=True):
        span["erased_at"] = plain(own.erased_at)
    return {**members, "gaps": plain(history.gaps)}


def _is_spans(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, Span) for item in value)


def _spans(spans: Sequence[Span]) -> list[dict[str, Any]]:
    return [{**s.values, "known": list(s.known), **{edge: plain(getattr(s, edge)) for edge in _EDGES}} for s in spans]


_EDGES = ("valid_from", "after", "valid_to")
