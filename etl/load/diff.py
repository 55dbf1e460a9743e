"""Diff of staged rows against current rows, in sets: the same statements serve every declared table.

A version ends when its number's record was read and differs, when its number is proven gone, or when it is a shared row
that nothing refers to any more. Rows that were not read are not compared. A current row that stays is updated in place,
and only rows that are gone are deleted: users may have added columns, keys and triggers of their own to the tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Exists,
    Table,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.sql.base import Executable

from etl.domain import tables as declared
from etl.domain.runs import TableChange
from etl.domain.tables import Kind, missing_bit
from etl.load.staging import stage_for
from etl.store import schema
from etl.store.types import ID, JSON_TEXT, UtcDateTime

_ACCOUNT = bindparam("the_account", type_=ID)
_RUN = bindparam("the_run", type_=ID)
_NOW = bindparam("the_moment", type_=UtcDateTime())


def _exists() -> Exists:
    """EXISTS over a constant: with `select *`, SQLite does not use an index that has only the condition's columns."""
    return exists(literal_column("1"))


class PublicationStamp(Struct, frozen=True):
    """Account, run and moment of a publication: the parameters of every statement in this module."""

    account_id: int
    run_id: int
    observed_at: datetime

    @property
    def parameters(self) -> dict[str, Any]:
        """The statement parameters."""
        return {"the_account": self.account_id, "the_run": self.run_id, "the_moment": self.observed_at}


class TableDiff(Struct, frozen=True):
    """The statements of one table on one dialect."""

    dialect: str
    table: declared.Table

    @property
    def current(self) -> Table:
        """The table of current rows."""
        return schema.current[self.table.name]

    @property
    def closed(self) -> Table:
        """The table of versions that ended."""
        return schema.closed[self.table.name]

    @property
    def stage(self) -> Table:
        """The staging table: rows of the records that were read."""
        return stage_for(self.dialect).tables[self.table.name]

    # -- conditions

    def same_key(self) -> ColumnElement[bool]:
        """The staged and the current row have the same key."""
        return and_(*(self.stage.c[k] == self.current.c[k] for k in self.table.key_names))

    def _staged(self, column: declared.Column) -> ColumnElement[Any]:
        value: ColumnElement[Any] = self.stage.c[column.name]
        as_json = column.kind is Kind.JSON and self.dialect == "postgresql"
        return cast(value, JSON_TEXT) if as_json else value

    def _changed(self, column: declared.Column) -> ColumnElement[bool]:
        """The staged and the current value differ. JSON is compared by value: 1.10 and 1.1 are equal, as in JSONB."""
        staged, current = self._staged(column), self.current.c[column.name]
        if column.kind is Kind.JSON and self.dialect == "sqlite":
            by_value = func.vnsync_comparable(staged).is_distinct_from(func.vnsync_comparable(current))
            return and_(staged.is_distinct_from(current), by_value)
        return staged.is_distinct_from(current)

    def differs(self) -> ColumnElement[bool]:
        """The staged row and the current row of its key differ in some value."""
        return or_(*map(self._changed, self.table.values))

    def _ours(self) -> ColumnElement[bool]:
        return self.current.c.account_id == _ACCOUNT

    def changed(self) -> ColumnElement[bool]:
        """The current row was read again, and its staged row differs."""
        changed = and_(self._ours(), self.same_key(), self.differs())
        if self.dialect == "postgresql":
            return changed
        first = self.table.key_names[0]  # without this, SQLite would scan all rows of the account
        return and_(self.current.c[first].in_(select(self.stage.c[first])), changed)

    def removed(self) -> ColumnElement[bool]:
        """The current row's number was read again, and its record no longer has the row."""
        numbers = stage_for(self.dialect).tables["virtual_numbers"]
        read = self.current.c.virtual_number_id.in_(select(numbers.c.virtual_number_id))
        return and_(self._ours(), read, ~_exists().where(self.same_key()))

    def gone(self) -> ColumnElement[bool]:
        """The current row's number is proven gone."""
        gone = stage_for(self.dialect).gone
        return and_(self._ours(), self.current.c.virtual_number_id.in_(select(gone.c.virtual_number_id)))

    def unreferenced(self) -> ColumnElement[bool]:
        """The current row, which is shared, is not referred to by any current row."""
        referred = []
        for other, reference in declared.referrers(self.table):
            referring = schema.current[other.name]
            pairs = zip(reference.columns, self.table.key_names, strict=True)
            same = [referring.c[theirs] == self.current.c[ours] for theirs, ours in pairs]
            referred.append(_exists().where(referring.c.account_id == _ACCOUNT, *same))
        return and_(self._ours(), ~or_(*referred))

    # -- statements

    @property
    def _closed_names(self) -> list[str]:
        return [*(c.name for c in self.current.columns), "valid_to", "closed_run_id"]

    def end(self, condition: ColumnElement[bool]) -> tuple[Executable, ...]:
        """Statements that move current rows to the closed table; the first one's row count is how many.

        PostgreSQL selects, deletes and inserts the rows in one statement; SQLite copies them, then deletes them.
        """
        if self.dialect == "postgresql":
            ended = delete(self.current).where(condition).returning(*self.current.columns).cte("ended")
            return (insert(self.closed).from_select(self._closed_names, select(*ended.columns, _NOW, _RUN)),)
        source = select(*self.current.columns, _NOW, _RUN).where(condition)
        return insert(self.closed).from_select(self._closed_names, source), delete(self.current).where(condition)

    def change(self) -> tuple[Executable, ...]:
        """Statements that close the old versions of changed rows and update the rows in place; counted as in `end`.

        PostgreSQL looks the rows up by key a second time, so it sees what users have just written to their own columns.
        """
        values = {c.name: self._staged(c) for c in self.table.values}
        opened: dict[str, ColumnElement[Any]] = {"valid_from": _NOW, "opened_run_id": _RUN}
        if self.dialect != "postgresql":
            ended = select(*self.current.columns, _NOW, _RUN).where(self.changed())
            in_place = update(self.current).where(self.changed()).values(values | opened)
            return insert(self.closed).from_select(self._closed_names, ended), in_place
        staged = [value.label(f"staged_{name}") for name, value in values.items()]
        changed = select(*self.current.columns, *staged).where(self.changed()).cte("changed")
        ended = select(*(changed.c[c.name] for c in self.current.columns), _NOW, _RUN)
        kept = insert(self.closed).from_select(self._closed_names, ended).cte("kept")
        same = and_(self._ours(), *(self.current.c[k] == changed.c[k] for k in self.table.key_names))
        new = {name: changed.c[f"staged_{name}"] for name in values}
        return (update(self.current).where(same).values(new | opened).add_cte(kept),)

    def open(self, *, first: bool) -> Executable:
        """The statement that inserts staged rows without a current row. `first`: nothing of the account is current."""
        values = [self._staged(c) for c in self.table.columns]
        source = select(_ACCOUNT, *values, _NOW, _RUN).select_from(self.stage)
        if not first:
            source = source.where(~_exists().where(self._ours(), self.same_key()))
        names = ["account_id", *(c.name for c in self.table.columns), "valid_from", "opened_run_id"]
        return insert(self.current).from_select(names, source)

    def fill(self) -> Iterator[Executable]:
        """Statements that copy current values into the columns of staged rows that the source did not report."""
        for column in self.table.values:
            known = select(self.current.c[column.name]).where(self._ours(), self.same_key()).scalar_subquery()
            unreported = self.stage.c.missing.bitwise_and(missing_bit(self.table, column.name)) != 0
            if column.kind is not Kind.JSON:
                yield update(self.stage).where(unreported).values({column.name: known})


@cache
def _diff(dialect: str, name: str) -> TableDiff:
    return TableDiff(dialect, declared.BY_NAME[name])


def fill_unreported(connection: Connection, account_id: int) -> None:
    """Fill unreported fields with the current values, before the diff: a field that is not reported is not null."""
    parameters = {"the_account": account_id}
    for statement in _keep_known_rules(connection.dialect.name):
        connection.execute(statement, parameters)
    for table in declared.TABLES:
        if table.values:
            for statement in _diff(connection.dialect.name, table.name).fill():
                connection.execute(statement, parameters)


def _keep_known_rules(dialect: str) -> tuple[Executable, Executable]:
    """Statements that match scenario links reported without a rule to the current links, with or without a rule."""
    diff = _diff(dialect, declared.NUMBER_SCENARIOS.name)
    stage, current = diff.stage, diff.current
    unreported = stage.c.missing.bitwise_and(missing_bit(diff.table, "call_processing_rule_id")) != 0
    same = and_(
        current.c.account_id == _ACCOUNT,
        current.c.virtual_number_id == stage.c.virtual_number_id,
        current.c.scenario_id == stage.c.scenario_id,
    )
    with_rule, without = current.c.call_processing_rule_id != 0, current.c.call_processing_rule_id == 0
    values = [current.c[name] for name in (*diff.table.key_names, "is_active")]
    other = stage.alias("other")
    also_reported = _exists().where(*(other.c[name] == current.c[name] for name in diff.table.key_names))
    source = select(*values, stage.c.extra, literal_column("0")).join_from(stage, current, and_(same, with_rule))
    known = insert(stage).from_select([c.name for c in stage.columns], source.where(unreported, ~also_reported))
    replaced = and_(_exists().where(same, with_rule), ~_exists().where(same, without))
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
            executor.end(table, executor.diff(table).unreferenced())
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
        return _diff(self._connection.dialect.name, table.name)

    def change(self, table: declared.Table) -> None:
        """For each row that changed, end one version and open another."""
        if table.values:
            changed = self._run_all(self.diff(table).change())
            for counts in (self.changed, self.closed, self.opened):
                counts[table.name] += changed

    def end_lost(self, table: declared.Table, *, gone: bool) -> None:
        """End the rows that numbers have lost, and with `gone` all rows of the numbers that are gone."""
        if table.per_number and table is not declared.VIRTUAL_NUMBERS:
            self.end(table, self.diff(table).removed())
        if table.per_number and gone:
            self.end(table, self.diff(table).gone())

    def end(self, table: declared.Table, condition: ColumnElement[bool]) -> None:
        self.closed[table.name] += self._run_all(self.diff(table).end(condition))

    def open(self, table: declared.Table, *, first: bool) -> None:
        self.opened[table.name] += self._run(self.diff(table).open(first=first))

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
