"""Normalizer: from numbers to rows of the eight tables. Nested arrays become links, repeated objects become one row.

A row is a tuple of its table's columns. If the table has values, a last item holds bits of the columns that the source
did not report (`domain.tables.missing_bit`). Array order means nothing. Of contradicting copies of one row the one
with fewer nulls is taken, or else the one that sorts first, in whatever order they came; the contradiction is counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from msgspec import UNSET

from etl.domain import tables
from etl.domain.canonical import comparable
from etl.domain.tables import Kind, Table, missing_bit
from etl.transform.drift import DriftKind, DriftLog
from etl.transform.extras import spelled
from etl.transform.phones import RepeatedPhones
from etl.transform.records import Campaign, Number, Scenario, SiteBlock

Row = tuple[Any, ...]
Key = tuple[int, ...]

ROWS_VERSION = 3
"""Version to raise when the same bytes give other rows, here or in decoding, or when other bytes are digested: then no
record counts as unchanged.
"""

NUMBER_TABLES = tuple(t.name for t in tables.TABLES if t.per_number)


def _json(extra: dict[str, Any] | None) -> str | None:
    return None if extra is None else spelled(extra)


def _order(row: Row) -> tuple[Any, ...]:
    """A sort key in which reported values come before missing ones, and copies with fewer nulls before the others."""
    return (row[-1], row.count(None), *((v is not None, v) for v in row))


def _contradict(table: Table, one: Row, other: Row) -> bool:
    """Whether two rows have different values. JSON that only writes equal numbers differently is no difference."""
    return any(
        a != b and (column.kind is not Kind.JSON or comparable(a) != comparable(b))
        for column, a, b in zip(table.columns, one, other, strict=False)
    )


class Normalizer:
    """Turns the numbers of one account into rows.

    Rows of the number's own tables are returned page by page. Rows that numbers share (`shared`) are collected, because
    another page may repeat them.
    """

    def __init__(self, drift: DriftLog) -> None:
        self.drift = drift
        self.shared: dict[str, dict[int, Row]] = {t.name: {} for t in tables.shared_tables()}
        self._contested: set[tuple[str, Any]] = set()
        self._contested_elsewhere = 0
        self.phones = RepeatedPhones()
        self.unreported = False
        """Whether some row lacks a field that the source did not report."""
        self.unreported_shared = False
        """Whether a row that numbers share lacks such a field."""
        self._seen: set[tuple[Any, ...]] = set()
        """Values from which shared rows were made already: most numbers repeat those of others."""
        self._campaigns = self.shared["campaigns"]
        self._sites = self.shared["sites"]
        self._blocks = self.shared["site_blocks"]
        self._scenarios = self.shared["scenarios"]

    @property
    def conflicts(self) -> int:
        """How many rows were sent in copies that contradict each other."""
        return len(self._contested) + self._contested_elsewhere

    def rows(self, numbers: Collection[Number]) -> dict[str, list[Row]]:
        """The rows of the number's own tables, by table name; each key once."""
        out: dict[str, list[Row]] = {name: [] for name in NUMBER_TABLES}
        numbers_out, campaigns_out = out["virtual_numbers"], out["virtual_number_campaigns"]
        blocks_out, scenarios_out = out["virtual_number_site_blocks"], out["virtual_number_scenarios"]
        for number in numbers:
            numbers_out.append(self._number(number))
            if number.campaigns:
                self._campaign_links(number, campaigns_out, blocks_out)
            if number.scenarios:
                self._scenario_links(number, scenarios_out)
        return out

    def recall(self, table: str, row: Row) -> None:
        """Take a shared row again, for an unchanged record that was not decoded."""
        self._keep(tables.BY_NAME[table], self.shared[table], row[0], row)

    def adopt(self, shared: Mapping[str, Iterable[Row]], *, conflicts: int, unreported: bool, of_shared: bool) -> None:
        """Take over the shared rows that another normalizer made of all the numbers, and its counts and flags."""
        for name, rows in shared.items():
            self.shared[name].update((row[0], row) for row in rows)
        self._contested_elsewhere += conflicts
        self.unreported |= unreported
        self.unreported_shared |= of_shared

    def shared_rows(self) -> dict[str, list[Row]]:
        """The rows that numbers share, by table name, from all pages together; to be called at the end.

        It holds only sites that some row refers to: of a campaign that was sent with two sites, one copy was taken.
        """
        self.phones.note_repeats(self.drift)
        held = {row[2] for rows in (self._campaigns, self._blocks) for row in rows.values()}
        sites = [row for site_id, row in self._sites.items() if site_id in held]
        return {name: list(rows.values()) for name, rows in self.shared.items()} | {"sites": sites}

    # -- the number

    def _number(self, n: Number) -> Row:
        row = (
            n.id,
            n.child_customer_id,
            n.virtual_phone_number,
            n.redirection_phone_number,
            n.activation_date,
            n.status,
            n.category,
            n.type,
            n.comment,
            n.name,
            None if n.extra is None else _json(n.extra),
            0,
        )
        return row if UNSET not in row else self._known(row, tables.VIRTUAL_NUMBERS)

    def _known(self, row: Row, table: Table) -> Row:
        """The row with null for each field that was not sent, and its bit; the drift notes the field."""
        self.unreported = True
        self.unreported_shared |= not table.per_number
        missing = row[-1]
        for column, value in zip(table.columns, row, strict=False):
            if value is UNSET:
                missing |= missing_bit(table, column.name)
                self.drift.note(table.path_of(column.name), DriftKind.MISSING_FIELD)
        return (*(None if v is UNSET else v for v in row[:-1]), missing)

    def _repeats(self, values: tuple[Any, ...]) -> bool:
        """Whether a shared row was made from these values already. Never if one is missing: each page notes that."""
        if values in self._seen:
            return True
        if UNSET not in values:
            self._seen.add(values)
        return False

    # -- campaigns, sites, blocks

    def _campaign_links(self, number: Number, campaigns_out: list[Row], blocks_out: list[Row]) -> None:
        blocks: list[Row] = []
        links = [(number.id, campaign.campaign_id) for campaign in number.campaigns]
        for link, campaign in zip(links, number.campaigns, strict=True):
            self._campaign(campaign)
            for block in campaign.site_blocks:
                self._block(block, campaign)
                row: Row = (*link, block.site_block_id, block.is_tracking, 0)
                if block.is_tracking is UNSET:
                    row = self._known(row, tables.NUMBER_SITE_BLOCKS)
                blocks.append(row)
        campaigns_out += links if len(links) == 1 else set(links)
        blocks_out += blocks if len(blocks) < 2 else self._each_once(tables.NUMBER_SITE_BLOCKS, blocks)

    def _campaign(self, c: Campaign) -> None:
        values = (c.campaign_id, c.campaign_name, c.site_id, c.site_domain_name)
        if c.extra is None and self._repeats(values):
            return
        row: Row = (*values[:3], _json(c.extra), 0)
        if UNSET in row:
            row = self._known(row, tables.CAMPAIGNS)
        self._keep(tables.CAMPAIGNS, self._campaigns, c.campaign_id, row)
        if c.site_id is not None and c.site_id is not UNSET:
            site: Row = (c.site_id, c.site_domain_name, 0)
            if c.site_domain_name is UNSET:
                site = self._known(site, tables.SITES)
            self._keep(tables.SITES, self._sites, c.site_id, site)

    def _block(self, b: SiteBlock, campaign: Campaign) -> None:
        values = (b.site_block_id, b.site_block_name, campaign.site_id)
        if b.extra is None and self._repeats(values):
            return
        row: Row = (*values, _json(b.extra), 0)
        if UNSET in row:
            row = self._known(row, tables.SITE_BLOCKS)
        self._keep(tables.SITE_BLOCKS, self._blocks, b.site_block_id, row)

    # -- scenarios

    def _scenario_links(self, number: Number, out: list[Row]) -> None:
        links: list[Row] = []
        for scenario in number.scenarios:
            self._scenario(scenario)
            links.append(self._scenario_link(number.id, scenario))
        out += links if len(links) == 1 else self._each_once(tables.NUMBER_SCENARIOS, links)

    def _scenario(self, s: Scenario) -> None:
        values = (s.scenario_id, s.scenario_name)
        if self._repeats(values):
            return
        row: Row = (*values, 0)
        if s.scenario_name is UNSET:
            row = self._known(row, tables.SCENARIOS)
        self._keep(tables.SCENARIOS, self._scenarios, s.scenario_id, row)

    def _scenario_link(self, number_id: int, s: Scenario) -> Row:
        extra = None if s.extra is None else _json(s.extra)
        row: Row = (number_id, s.scenario_id, s.call_processing_rule_id, s.is_active, extra, 0)
        if UNSET in row:
            row = self._known(row, tables.NUMBER_SCENARIOS)
        return row if row[2] is not None else (*row[:2], 0, *row[3:])

    # -- one row per key

    def _each_once(self, table: Table, rows: list[Row]) -> Collection[Row]:
        """The rows of one number, each key (of three columns) once."""
        kept: dict[Key, Row] = {row[:3]: row for row in rows}
        if len(kept) == len(rows):
            return rows
        kept.clear()
        for row in rows:
            self._keep(table, kept, row[:3], row)
        return kept.values()

    def _keep(self, table: Table, rows: dict[Any, Row], key: Any, row: Row) -> None:
        """Keep the row; of two copies the one that reports more fields, has fewer nulls, or else sorts first.

        A row is contested if another copy that reports as many fields contradicts it: so the order changes no count.
        """
        other = rows.setdefault(key, row)
        if other is row or other == row:
            return
        rows[key] = min(other, row, key=_order)
        if other[-1] == row[-1]:
            if _contradict(table, other, row):
                self._contested.add((table.name, key))
        elif row[-1] < other[-1]:
            self._contested.discard((table.name, key))
