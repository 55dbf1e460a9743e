"""One number's life for the terminal and for machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import starmap
from typing import Any

from etl.read.history import NumberHistory
from etl.read.newly_known import without
from etl.read.timeline import Gap, Span
from etl.report.fields import described, differences, known_now, noun
from etl.report.terminal.tables import Cell, Table
from etl.report.values import plain
from etl.report.wording import asked, counted, moment, named, printable, quoted

EXPLAINED = "Each change happened between the previous sync and the time shown."


def several(wanted: str, lives: Sequence[NumberHistory]) -> str:
    """What to say when more than one number is meant."""
    accounts = counted(len({life.account_id for life in lives}), "account")
    return f"{printable(wanted)} is {counted(len(lives), 'number')} in {accounts}, one after the other."


def heading(life: NumberHistory, as_of: datetime | None) -> str:
    """Which number this is, whether the last observation listed it, and whether all of its record could be used."""
    zone = f" ({printable(life.timezone)})" if life.timezone else ""
    who = f"number {life.virtual_number_id} of {named(life.account_id, life.account_name)}{zone}"
    nothing = "phone number erased" if life.number[-1].erased_at else "without a phone number"
    phone = printable(life.virtual_phone_number or nothing)
    known = f"\nAs known at {asked(as_of)} UTC." if as_of else ""
    return f"{phone}: {who}\n{_state(life)}{_doubt(life)}{known}"


def _state(life: NumberHistory) -> str:
    first = f"First seen {moment(life.number[0].valid_from)} UTC"
    if life.listed:
        return f"{first}; listed at the last observation, {moment(life.observed_at)}."
    last = life.number[-1]
    gone = _moved(life, last.valid_to, came=False) or "gone"
    return f"{first}; {gone} since {moment(last.valid_to)}; last observation {moment(life.observed_at)}."


def _moved(life: NumberHistory, at: datetime | None, *, came: bool) -> str | None:
    """Where the number came from, or went, at that moment; None where it did not move."""
    passage = next((p for p in life.moves if p.at == at and p.came is came), None)
    if passage is None:
        return None
    return f"moved {'from' if came else 'to'} {named(passage.account_id, passage.account_name)}"


def _doubt(life: NumberHistory) -> str:
    """A line about what of its record is in quarantine; empty when nothing is."""
    if not life.quarantined:
        return ""
    first, *more = life.quarantined
    others = f", and {len(more)} more" if more else ""
    what = f"{printable(first.path)}: {printable(first.reason)}{others}"
    return (
        f"\nNot all of its record could be used at the last observation ({what}): what is shown may be older than that."
    )


def tables(life: NumberHistory, *, then: bool) -> Iterator[Table]:
    """What it was, and what held it; `then`: as of an earlier moment, so what is open is open then, not now."""
    open_end = "then" if then else "now"
    yield _table("What it was", "what it was", _own_rows(life, open_end))
    kinds: list[tuple[str, Sequence[Span], Callable[[Span], str]]] = [
        ("Campaigns", life.campaigns, _campaign),
        ("Site blocks", life.site_blocks, _block),
        ("Scenarios and their rules", life.scenarios, _scenario),
    ]
    for title, spans, words in kinds:
        if spans:
            yield _table(title, "what held it", [_row(s, words(s) + _known(s), open_end) for s in spans])


def _table(title: str, what: str, rows: Sequence[Sequence[Cell]]) -> Table:
    return Table(["from (UTC)", "until", what], rows, title=title)


def _row(span: Span | Gap, words: str, open_end: str) -> list[Cell]:
    return [moment(span.valid_from), moment(span.valid_to) if span.valid_to else open_end, words]


def _own_rows(life: NumberHistory, open_end: str) -> list[list[Cell]]:
    """Its versions: the first of each life in full, the others by what changed; and the gaps between lives."""
    after_gap = {gap.valid_to for gap in life.gaps}
    rows: list[list[Cell]] = []
    gaps = {gap.valid_from: gap for gap in life.gaps}
    for i, span in enumerate(life.number):
        before = None if i == 0 or span.valid_from in after_gap else life.number[i - 1]
        came = None if before else _moved(life, span.valid_from, came=True)
        rows.append(_row(span, (f"{came}: " if came else "") + _own_words(before, span), open_end))
        if span.valid_to in gaps:
            left = _moved(life, span.valid_to, came=False) or "deleted"
            rows.append(_row(gaps[span.valid_to], f"not listed: {left}, and came back", open_end))
    return rows


def _own_words(before: Span | None, span: Span) -> str:
    """A version in full, or what changed. Beside one whose content was erased nobody knows what changed in it."""
    if before is None or (before.erased_at and not span.erased_at):
        parts = [described(span.values, phone=span.erased_at is None)]
    else:
        parts = [*differences(before.values, without(span.values, span.known)), *starmap(known_now, span.known.items())]
    erased = f"personal content erased {moment(span.erased_at)}" if span.erased_at else ""
    return "; ".join(filter(None, [*parts, erased]))


def _known(span: Span) -> str:
    """The fields of a link that are known since then: their values stand before."""
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


# -- for machines


def as_object(wanted: str, lives: Sequence[NumberHistory], as_of: datetime | None) -> dict[str, Any]:
    """The answer as one object: each span is its columns, `valid_from`, `after`, `valid_to`, and `known`.

    `known`: fields that were reported for the first time when the span began. Spans of the number itself have
    `erased_at` besides.
    """
    return {"number": wanted, "as_of": plain(as_of), "matches": [_life(life) for life in lives]}


def _life(life: NumberHistory) -> dict[str, Any]:
    told = {name: _spans(value) if _is_spans(value) else plain(value) for name, value in vars(life).items()}
    for span, own in zip(told["number"], life.number, strict=True):
        span["erased_at"] = plain(own.erased_at)
    return {**told, "gaps": plain(life.gaps)}


def _is_spans(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, Span) for item in value)


def _spans(spans: Sequence[Span]) -> list[dict[str, Any]]:
    return [{**s.values, "known": list(s.known), **{edge: plain(getattr(s, edge)) for edge in _EDGES}} for s in spans]


_EDGES = ("valid_from", "after", "valid_to")
