"""Diff of staged rows against current rows, in sets: the same statements serve every declared table.

A version ends when its number's record was read and differs, when its number is proven gone, or when it is a shared row
that nothing refers to any more. Rows that were not read are not compared. A current row that stays is updated in place,
and only rows that are gone are deleted: users may have added columns, keys and triggers of their own to the tables.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, and_, delete, insert, literal_column, select
from sqlalchemy.sql.base import Executable

from etl.domain import tables as declared
from etl.domain.runs import TableChange
from etl.domain.tables import missing_bit
from etl.load.table_diff import ACCOUNT, TableDiff, any_row, diff_of, statements


class PublicationStamp(Struct, frozen=True):
    """Account, run and moment of a publication: the parameters of every statement in this module."""

    account_id: int
    run_id: int
    observed_at: datetime

    @property
    def parameters(self) -> dict[str, Any]:
        """The statement parameters."""
        return {"the_account": self.account_id, "the_run": self.run_id, "the_moment": self.observed_at}


def fill_unreported(connection: Connection, account_id: int) -> None:
    """Fill unreported fields with the current values, before the diff: a field that is not reported is not null."""
    parameters = {"the_account": account_id}
    for statement in _keep_known_rules(connection.dialect.name):
        connection.execute(statement, parameters)
    for table in declared.TABLES:
        if table.values:
            for statement in diff_of(connection.dialect.name, table.name).fill():
                connection.execute(statement, parameters)


def _keep_known_rules(dialect: str) -> tuple[Executable, Executable]:
    """Statements that match scenario links reported without a rule to the current links, with or without a rule."""
    diff = diff_of(dialect, declared.NUMBER_SCENARIOS.name)
    stage, current = diff.stage, diff.current
    unreported = stage.c.missing.bitwise_and(missing_bit(diff.table, "call_processing_rule_id")) != 0
    same = and_(
        current.c.account_id == ACCOUNT,
        current.c.virtual_number_id == stage.c.virtual_number_id,
        current.c.scenario_id == stage.c.scenario_id,
    )
    with_rule, without = current.c.call_processing_rule_id != 0, current.c.call_processing_rule_id == 0
    values = [current.c[name] for name in (*diff.table.key_names, "is_active")]
    other = stage.alias("other")
    also_reported = any_row().where(*(other.c[name] == current.c[name] for name in diff.table.key_names))
    source = select(*values, stage.c.extra, literal_column("0")).join_from(stage, current, and_(same, with_rule))
    known = insert(stage).from_select([c.name for c in stage.columns], source.where(unreported, ~also_reported))
    replaced = and_(any_row().where(same, with_rule), ~any_row().where(same, without))
    return known, delete(stage).where(unreported, replaced)


def apply(connection: Connection, stamp: PublicationStamp, *, first: bool, gone: bool) -> dict[str, TableChange]:
    """End and open versions in all tables. Returns the counts by table name.

    `first`: nothing of the account is open; `gone`: ids of numbers that are proven gone are staged.
    """
    executor = _Executor(connection, stamp)
    for table in declared.TABLES:
        if not first:
            executor.change(table)
            executor.end_lost(table, gone=gone)
        executor.open(table, first=first)
    if any(executor.closed.values()):
        for table in declared.shared_tables():
            executor.end(table, "unreferenced")
    return {table.name: executor.counted(table) for table in declared.TABLES}


def no_changes() -> dict[str, TableChange]:
    """The result of `apply` when nothing is staged."""
    return {t.name: TableChange() for t in declared.TABLES}


class _Executor:
    """Executes the statements and counts the rows."""

    def __init__(self, connection: Connection, stamp: PublicationStamp) -> None:
        self._connection, self._parameters = connection, stamp.parameters
        self.opened = {t.name: 0 for t in declared.TABLES}
        self.closed = {t.name: 0 for t in declared.TABLES}
        self.changed = {t.name: 0 for t in declared.TABLES}

    def diff(self, table: declared.Table) -> TableDiff:
        return diff_of(self._connection.dialect.name, table.name)

    def _statements(self, table: declared.Table, what: str) -> tuple[Executable, ...]:
        return statements(self._connection.dialect.name, table.name, what)

    def change(self, table: declared.Table) -> None:
        """For each row that changed, end one version and open another."""
        if table.values:
            changed = self._run_all(self._statements(table, "change"))
            for counts in (self.changed, self.closed, self.opened):
                counts[table.name] += changed

    def end_lost(self, table: declared.Table, *, gone: bool) -> None:
        """End the rows that numbers have lost, and with `gone` all rows of the numbers that are gone."""
        if table.per_number and table is not declared.VIRTUAL_NUMBERS:
            self.end(table, "removed")
        if table.per_number and gone:
            self.end(table, "gone")

    def end(self, table: declared.Table, condition: str) -> None:
        """End the rows that meet the condition: a method of `TableDiff`."""
        self.closed[table.name] += self._run_all(self._statements(table, condition))

    def open(self, table: declared.Table, *, first: bool) -> None:
        self.opened[table.name] += self._run(*self._statements(table, "first" if first else "open"))

    def counted(self, table: declared.Table) -> TableChange:
        """The counts of one table."""
        name = table.name
        return TableChange(opened=self.opened[name], closed=self.closed[name], changed=self.changed[name])

    def _run_all(self, statements: tuple[Executable, ...]) -> int:
        """Execute the statements and return the first one's row count; if it is 0, the others are not executed."""
        first, *rest = statements
        if concerned := self._run(first):
            for statement in rest:
                self._run(statement)
        return concerned

    def _run(self, statement: Executable) -> int:
        counted = {"preserve_rowcount": True}  # SQLAlchemy keeps the count of INSERT FROM SELECT only on request
        return self._connection.execute(statement, self._parameters, execution_options=counted).rowcount
