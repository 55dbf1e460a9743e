"""Numbers and campaigns as of a moment, counted: of all accounts, or of some."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, and_, func, select
from sqlalchemy.sql.selectable import Subquery

from etl.domain import tables as declared
from etl.read import as_of

STATUSES = 12
"""Upper limit of the statuses that are counted."""


class Holding(Struct, frozen=True, kw_only=True):
    """Counts of an account: its numbers, those of them that are in no campaign (`unplaced`), and its campaigns."""

    numbers: int = 0
    unplaced: int = 0
    campaigns: int = 0


class TopCampaign(Struct, frozen=True, kw_only=True):
    """A campaign and the count of its numbers."""

    account_id: int
    campaign_id: int
    campaign_name: str | None
    site_domain_name: str | None
    numbers: int


class Known(Struct, frozen=True, kw_only=True):
    """Rows as of `moment` (None: now) of `accounts` (empty: all), to be counted."""

    connection: Connection
    moment: datetime | None
    accounts: Collection[int] = ()

    def sizes(self) -> dict[str, int]:
        """Count of rows by table."""
        counts = ((t.name, select(func.count()).select_from(self._rows(t))) for t in declared.TABLES)
        return {name: self.connection.scalar(count) or 0 for name, count in counts}

    def holdings(self) -> dict[int, Holding]:
        """Numbers and campaigns by account id."""
        numbers = self._by_account(self._rows(declared.VIRTUAL_NUMBERS))
        campaigns = self._by_account(self._rows(declared.CAMPAIGNS))
        links = self._rows(declared.NUMBER_CAMPAIGNS)
        placed = self._by_account(select(links.c.account_id, links.c.virtual_number_id).distinct().subquery())
        return {
            i: Holding(numbers=n, unplaced=n - placed.get(i, 0), campaigns=campaigns.get(i, 0))
            for i, n in numbers.items()
        }

    def statuses(self) -> tuple[tuple[str | None, int], ...]:
        """Count of numbers by status, descending."""
        numbers = self._rows(declared.VIRTUAL_NUMBERS)
        count = func.count().label("numbers")
        counted = select(numbers.c.status, count).group_by(numbers.c.status)
        rows = self.connection.execute(counted.order_by(count.desc(), numbers.c.status).limit(STATUSES))
        return tuple((status, numbers) for status, numbers in rows)

    def top_campaigns(self, limit: int) -> tuple[TopCampaign, ...]:
        """The campaigns with the most numbers, descending."""
        tables = (declared.NUMBER_CAMPAIGNS, declared.CAMPAIGNS, declared.SITES)
        links, campaigns, sites = map(self._rows, tables)
        key = (links.c.account_id, links.c.campaign_id)
        count = func.count().label("numbers")
        top = select(*key, count).group_by(*key).order_by(count.desc(), *key).limit(limit).subquery()
        named = and_(campaigns.c.account_id == top.c.account_id, campaigns.c.campaign_id == top.c.campaign_id)
        placed = and_(sites.c.account_id == campaigns.c.account_id, sites.c.site_id == campaigns.c.site_id)
        wanted = (
            select(top, campaigns.c.campaign_name, sites.c.site_domain_name)
            .select_from(top.outerjoin(campaigns, named).outerjoin(sites, placed))
            .order_by(top.c.numbers.desc(), top.c.account_id, top.c.campaign_id)
        )
        return tuple(TopCampaign(**row._mapping) for row in self.connection.execute(wanted))

    def _rows(self, table: declared.Table) -> Subquery:
        return as_of.rows(table, self.moment, self.accounts).order_by(None).subquery()

    def _by_account(self, rows: Subquery) -> dict[int, int]:
        counted = select(rows.c.account_id, func.count()).group_by(rows.c.account_id)
        return {row[0]: row[1] for row in self.connection.execute(counted)}
