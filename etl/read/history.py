"""History of one number: its values, campaigns, site blocks and scenarios with their periods and names of the time."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Engine, select, union

from etl.domain import phones
from etl.domain import tables as declared
from etl.domain.runs import AccountStatus
from etl.domain.windows import HIGHEST_ID
from etl.errors import Usage
from etl.read import as_of
from etl.read.erased import erased_versions
from etl.read.first_reported import first_reported
from etl.read.moves import moves_of_number
from etl.read.quarantined import Quarantined, of_number
from etl.read.timeline import Gap, Names, Span, Version, gaps, spans, with_known
from etl.store import schema
from etl.store.engine import begin_reading, database_errors
from etl.store.streams import stream

_NUMBERS = declared.VIRTUAL_NUMBERS
Known = dict[Any, list[Version]]
"""Versions of shared rows by their id, ascending."""


class NumberMove(Struct, frozen=True, kw_only=True):
    """Move of a number from another account (`came`), or to it, not later than `at`."""

    at: datetime
    came: bool
    account_id: int
    account_name: str | None


class NumberHistory(Struct, frozen=True, kw_only=True):
    """History of one number in one account.

    `observed_at`: the account's last observation by the requested moment; `listed`: whether it listed the number.
    `number`: its own versions; `campaigns`, `site_blocks`, `scenarios`: its links, with names. All are ascending by
    `valid_from`. `moves`: the accounts that it came from and went to, at the ends of its continuous periods here.
    `quarantined`: parts of its record that the observation could not use; if any, other values may be older than it.
    """

    account_id: int
    account_name: str | None
    timezone: str | None
    observed_at: datetime
    virtual_number_id: int
    virtual_phone_number: str | None
    listed: bool
    number: tuple[Span, ...]
    gaps: tuple[Gap, ...]
    moves: tuple[NumberMove, ...]
    campaigns: tuple[Span, ...]
    site_blocks: tuple[Span, ...]
    scenarios: tuple[Span, ...]
    quarantined: tuple[Quarantined, ...] = ()


def read_histories(
    engine: Engine,
    wanted: str,
    *,
    moment: datetime | None = None,
    accounts: frozenset[int] = frozenset(),
    name: str = "--as-of",
) -> list[NumberHistory]:
    """Histories of all numbers that match `wanted`, a phone number or an id, as known at `moment` (None: now).

    Ordered by account and id. Raises `Usage` when no number matches, or `wanted` is neither. `name`: of the moment, in
    errors.
    """
    if not phones.is_phone(wanted):
        raise Usage("NUMBER is neither a phone number nor an id", remedy="Write 74951234567, '+7 (495) 123-45-67' or 1")
    with database_errors(), begin_reading(engine) as connection:
        as_of.refuse_unknown(connection, moment, name, accounts)
        known = {o.account_id: o for o in as_of.observed(connection, moment, accounts)}
        found = [(a, n) for a, n in find(connection, wanted, moment) if a in known]
        if not found:
            raise Usage(f"no number {wanted.strip()} was ever listed{_scope(moment, accounts)}", remedy=_SEARCHED)
        return [_number_history(connection, known[account_id], number_id, moment) for account_id, number_id in found]


_SEARCHED = "Numbers are found by id, or by phone or redirection number, with or without its country code."


def _scope(moment: datetime | None, accounts: frozenset[int]) -> str:
    where = f" in account {', '.join(map(str, sorted(accounts)))}" if accounts else ""
    return where + (f" by {moment.replace(tzinfo=None)} UTC" if moment else "")


# -- search


def find(connection: Connection, wanted: str, moment: datetime | None) -> list[tuple[int, int]]:
    """(account_id, virtual_number_id) of numbers that had this id, phone or redirection number at any time, ascending.

    Spellings that the source may have used are looked up by index. If that finds nothing, or the country code may be
    missing, numbers with the same last digits are found too.
    """
    conditions: list[dict[str, Sequence[Any]]] = [{name: phones.spellings(wanted)} for name in _NUMBERS.sought]
    if wanted.strip().isdecimal() and int(wanted) <= HIGHEST_ID:
        conditions.append({"virtual_number_id": (int(wanted),)})
    found = {key for condition in conditions for key in _having(connection, condition, moment)}
    if not found or phones.is_national(wanted):
        found |= _with_same_end(connection, wanted, moment)
    return sorted(found)


def _having(connection: Connection, values: Mapping[str, Sequence[Any]], moment: datetime | None) -> set[Any]:
    statements = []
    for table in (schema.current[_NUMBERS.name], schema.closed[_NUMBERS.name]):
        wanted = [table.c[name].in_(several) for name, several in values.items()]
        statements.append(select(table.c.account_id, table.c.virtual_number_id).where(*wanted, *_begun(table, moment)))
    return {tuple(row) for row in connection.execute(union(*statements))}


def _begun(table: Any, moment: datetime | None) -> list[ColumnElement[bool]]:
    return [] if moment is None else [table.c.valid_from <= moment]


def _with_same_end(connection: Connection, wanted: str, moment: datetime | None) -> set[Any]:
    """Numbers whose last digits are those of `wanted`, without its country or area code, in any punctuation.

    The database scans all phone numbers, most of them in an index, for these digits in this order; their ends are
    compared here.
    """
    tail = phones.tail(wanted)
    if tail is None:
        return set()
    found, tables = set(), (schema.current[_NUMBERS.name], schema.closed[_NUMBERS.name])
    for table, name in itertools.product(tables, _NUMBERS.sought):
        phone = table.c[name].label("phone")
        alike = table.c[name].like(f"%{'%'.join(tail)}%")
        several = select(table.c.account_id, table.c.virtual_number_id, phone).where(alike, *_begun(table, moment))
        for row in stream(connection, several):
            if phones.digits(row.phone).endswith(tail):
                found.add((row.account_id, row.virtual_number_id))
    return found


# -- one number


def _number_history(
    connection: Connection, seen: as_of.Observed, number_id: int, moment: datetime | None
) -> NumberHistory:
    account_id = seen.account_id
    observed = _observations(connection, account_id, moment)
    reader = _Reader(connection, account_id, number_id, moment, observed)
    own = reader.versions(_NUMBERS)
    return NumberHistory(
        account_id=account_id,
        account_name=seen.account_name,
        timezone=seen.timezone,
        observed_at=seen.observed_at,
        virtual_number_id=number_id,
        virtual_phone_number=own[-1].values["virtual_phone_number"],
        listed=own[-1].valid_to is None,
        number=reader.spans(_NUMBERS, {}, _NUMBERS.value_names),
        gaps=tuple(gaps(own)),
        moves=tuple(_moves(connection, account_id, own, moment)),
        quarantined=of_number(connection, seen, number_id),
        **reader.links(),
    )


def _observations(connection: Connection, account_id: int, moment: datetime | None) -> list[datetime]:
    syncs = schema.account_syncs
    mine = (syncs.c.account_id == account_id) & (syncs.c.status == AccountStatus.SUCCEEDED.value)
    until = [] if moment is None else [syncs.c.observed_at <= moment]
    return list(connection.scalars(select(syncs.c.observed_at).where(mine, *until).order_by(syncs.c.observed_at)))


def _moves(
    connection: Connection, account_id: int, own: Sequence[Version], moment: datetime | None
) -> Iterator[NumberMove]:
    """Moves at the ends of a number's continuous periods in an account."""
    breaks = gaps(own)
    began = {own[0].valid_from, *(gap.valid_to for gap in breaks)}
    ended = {own[-1].valid_to, *(gap.valid_from for gap in breaks)}
    names: dict[int, str | None] = {}
    for at, came, other in sorted(moves_of_number(connection, account_id, own[0].values["virtual_number_id"], moment)):
        names = names or {known.account_id: known.account_name for known in as_of.observed(connection, moment)}
        if at in (began if came else ended):
            yield NumberMove(at=at, came=came, account_id=other, account_name=names.get(other))


class _Reader:
    """Reader of a number's versions and links, and of the names that its links had."""

    def __init__(
        self,
        connection: Connection,
        account_id: int,
        number_id: int,
        moment: datetime | None,
        observed: Sequence[datetime],
    ) -> None:
        self._connection, self._account_id, self._number_id = connection, account_id, number_id
        self._moment, self._observed = moment, observed
        self._erased = erased_versions(connection, (account_id, number_id))
        reported = first_reported(connection, {account_id})
        self._reported = {observed_at: paths for (_, observed_at), paths in reported.items()}

    def versions(self, table: declared.Table, ids: Mapping[str, Iterable[Any]] | None = None) -> list[Version]:
        """Versions by key and time: of this number, or of the rows whose columns have one of `ids`."""
        known = as_of.history(table, self._moment)
        among = ids or {"virtual_number_id": (self._number_id,)}
        chosen = [known.c.account_id == self._account_id]
        chosen += [known.c[name].in_(sorted(values)) for name, values in among.items()]
        order = (*(known.c[k] for k in table.key_names), known.c.valid_from)
        rows = self._connection.execute(select(known).where(*chosen).order_by(*order)).mappings()
        return [self._version(table, row) for row in rows]

    def _version(self, table: declared.Table, row: Any) -> Version:
        later = self._moment is not None and row["valid_to"] is not None and row["valid_to"] > self._moment
        values = as_of.values_of(table, row)
        began, end = row["valid_from"], None if later else row["valid_to"]
        own = table is _NUMBERS
        erased_at = self._erased.get((self._account_id, self._number_id, began)) if own else None
        return Version(valid_from=began, valid_to=end, values=values, erased_at=erased_at)

    def spans(self, table: declared.Table, names: Names, shown: Sequence[str]) -> tuple[Span, ...]:
        """The number's rows of `table` as spans, cut where their names changed."""
        cut = _all_spans(self.versions(table), names, self._observed, shown)
        return with_known(cut, [table, *(_NAMED[column] for column in names)], self._reported)

    def _known(self, table: declared.Table, referring: Iterable[Version]) -> Known:
        (column,) = table.key_names
        wanted = {v.values[column] for v in referring if v.values[column] is not None}
        found: Known = defaultdict(list)
        for version in self.versions(table, {column: wanted}) if wanted else ():
            found[version.values[column]].append(version)
        return found

    def links(self) -> dict[str, tuple[Span, ...]]:
        """Links of the number: campaigns with their sites, site blocks, scenarios, by field of `NumberHistory`."""
        campaigns = self._known(declared.CAMPAIGNS, self.versions(declared.NUMBER_CAMPAIGNS))
        sites = self._known(declared.SITES, (v for each in campaigns.values() for v in each))
        blocks = self._known(declared.SITE_BLOCKS, self.versions(declared.NUMBER_SITE_BLOCKS))
        scenarios = self._known(declared.SCENARIOS, self.versions(declared.NUMBER_SCENARIOS))
        placed: Names = {"campaign_id": campaigns, "site_id": sites}
        return {
            "campaigns": self.spans(declared.NUMBER_CAMPAIGNS, placed, _CAMPAIGN),
            "site_blocks": self.spans(
                declared.NUMBER_SITE_BLOCKS, {"campaign_id": campaigns, "site_block_id": blocks}, _BLOCK
            ),
            "scenarios": self.spans(declared.NUMBER_SCENARIOS, {"scenario_id": scenarios}, _SCENARIO),
        }


_NAMED = {table.key_names[0]: table for table in declared.shared_tables()}
_CAMPAIGN = ("campaign_id", "campaign_name", "site_id", "site_domain_name")
_BLOCK = ("campaign_id", "campaign_name", "site_block_id", "site_block_name", "is_tracking")
_SCENARIO = ("scenario_id", "scenario_name", "call_processing_rule_id", "is_active", "extra")


def _all_spans(
    links: Iterable[Version], names: Names, observed: Sequence[datetime], shown: Sequence[str]
) -> tuple[Span, ...]:
    """The spans of several links, ascending by time."""
    unsorted = [span for link in links for span in spans(link, names, observed, shown=shown)]
    return tuple(sorted(unsorted, key=lambda s: s.valid_from))
