"""The statements of a diff: how staged and current rows of one table are compared, and what is written then."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Exists,
    Table,
    Text,
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
from etl.domain.tables import Kind, missing_bit
from etl.load.staging import stage_for
from etl.store import schema
from etl.store.types import ID, JSON_TEXT, UtcDateTime

ACCOUNT = bindparam("the_account", type_=ID)
_RUN = bindparam("the_run", type_=ID)
_NOW = bindparam("the_moment", type_=UtcDateTime())


def any_row() -> Exists:
    """EXISTS over a constant: with `select *`, SQLite does not use an index that has only the condition's columns."""
    return exists(literal_column("1"))


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
        return self.current.c.account_id == ACCOUNT

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
        return and_(self._ours(), read, ~any_row().where(self.same_key()))

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
            referred.append(any_row().where(referring.c.account_id == ACCOUNT, *same))
        return and_(self._ours(), ~or_(*referred))

    # -- statements

    def differing(self) -> Executable:
        """The statement that reads the current rows, JSON as text, whose staged rows differ."""
        current = self.current.c
        columns = [cast(current[c.name], Text) if c.kind is Kind.JSON else current[c.name] for c in self.table.columns]
        rows = select(*columns).join_from(self.current, self.stage, self.same_key())
        return rows.where(self._ours(), self.differs())

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
        source = select(ACCOUNT, *values, _NOW, _RUN).select_from(self.stage)
        if not first:
            source = source.where(~any_row().where(self._ours(), self.same_key()))
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
def diff_of(dialect: str, name: str) -> TableDiff:
    """The diff of the table of that name."""
    return TableDiff(dialect, declared.BY_NAME[name])


@cache
def statements(dialect: str, name: str, what: str) -> tuple[Executable, ...]:
    """A table's statements, made once in a process: on a small account, making them takes longer than executing them.

    `what`: `change`, `differing`; `open`, or `first` if nothing of the account is current; or the condition of the rows
    to end.
    """
    diff = diff_of(dialect, name)
    if what == "change":
        return diff.change()
    if what == "differing":
        return (diff.differing(),)
    if what in ("open", "first"):
        return (diff.open(first=what == "first"),)
    return diff.end(getattr(diff, what)())
