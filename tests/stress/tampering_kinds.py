"""Kinds of tampering with a warehouse, drawn at random: each consists of statements that change stored rows."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Executable,
    Table,
    and_,
    delete,
    insert,
    literal_column,
    null,
    select,
    update,
)

from etl.store import schema
from etl.store.types import JsonText, UtcDateTime, storage_class
from etl.verify.storage import RELIED_ON
from tests.stress import unsealed

FAR = ("'infinity'", "'-infinity'", "'0044-03-15 12:00:00+00 BC'", "'20000-01-01 00:00:00+00'")
"""Instants that PostgreSQL accepts and Python cannot represent."""
OF_ACCOUNTS = tuple(t for t in RELIED_ON if "account_id" in t.c and t is not schema.account_claims)
Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Tampering:
    """A tampering with a row of a table. `key`: the row's primary key before; `after`: its columns after.

    For a whole account, `table` is `accounts`, and `accounts` are its ids before and after.
    """

    kind: str
    table: Table
    row: Values
    after: Values = field(default_factory=dict)
    accounts: tuple[int, ...] = ()
    statements: Sequence[Executable] = ()

    @property
    def key(self) -> Values:
        """The primary key before."""
        return {c.name: self.row[c.name] for c in self.table.primary_key}

    @property
    def place(self) -> str:
        """The column that differs, as `table.column`; only the table if rows were added or removed."""
        edited = list(self.after) if self.kind not in ("insert", "delete", "account") else []
        return ".".join([self.table.name, *edited])

    def __str__(self) -> str:
        changed = {k: v for k, v in self.after.items() if v is not self.row.get(k)}
        return f"{self.kind} {self.table.name} {self.accounts or self.key} {changed}"


class Tamperer:
    """Draws tamperings with the rows that the warehouse has when this object is made."""

    def __init__(self, connection: Connection, dice: random.Random) -> None:
        self._dice, self._dialect = dice, connection.dialect.name
        self._rows = {t.name: [dict(r._mapping) for r in connection.execute(select(t))] for t in RELIED_ON}
        self._accounts = sorted({row["account_id"] for row in self._rows["accounts"]})
        self._published = {(r["run_id"], r["account_id"]) for r in self._rows["account_syncs"] if r["observed_at"]}
        self._tried = {row["run_id"] for row in self._rows["account_syncs"]}
        self._kinds: dict[str, Callable[[], Tampering | None]] = {
            "edit": self._edit, "type": self._type, "null": self._null, "instant": self._instant,
            "move": self._move, "delete": self._delete, "insert": self._insert, "account": self._account,
        }  # fmt: skip

    def draw(self) -> Tampering:
        """Draw a tampering that changes something."""
        for _ in range(1000):
            kind = self._dice.choice(("edit", "edit", *self._kinds))
            made = self._kinds[kind]()
            if made is not None:
                return made
        raise AssertionError("nothing can be tampered with")

    def is_unsealed(self, tampering: Tampering) -> bool:
        """Whether docs/chain.md lists the changed column or row as not sealed."""
        table, row = tampering.table.name, tampering.row
        if tampering.kind in ("type", "account"):
            return False
        if tampering.place in {f"{name}.{column}" for name, columns in unsealed.COLUMNS.items() for column in columns}:
            return True
        if table == "sync_runs":
            return tampering.kind == "insert" or row["run_id"] not in self._tried
        if table in ("account_syncs", "quarantine"):
            return (row["run_id"], row["account_id"]) not in self._published
        return table in unsealed.ROWS

    # -- one row

    def _pick(self, wanted: Callable[[Column[Any]], bool] = lambda _: True) -> tuple[Table, Column[Any], Values] | None:
        table = self._dice.choice([t for t in RELIED_ON if self._rows[t.name]])
        columns = [c for c in table.columns if wanted(c)]
        return (table, self._dice.choice(columns), self._dice.choice(self._rows[table.name])) if columns else None

    def _edited(self, kind: str, found: tuple[Table, Column[Any], Values] | None, value: Any) -> Tampering | None:
        if found is None:
            return None
        table, column, row = found
        made = update(table).where(_same(table, row)).values({column.name: value})
        return Tampering(kind=kind, table=table, row=row, after={column.name: value}, statements=[made])

    def _edit(self) -> Tampering | None:
        found = self._pick()
        if found and self._dialect == "sqlite" and storage_class(found[1].type) == "text" and self._dice.random() < 0.1:
            return self._edited(
                "edit", found, literal_column(self._dice.choice(["cast(x'ff' as text)", "'a' || x'0a00'"]))
            )
        return self._edited("edit", found, found and self._other(*found))

    def _type(self) -> Tampering | None:
        """Another storage class (SQLite), or an instant beyond Python's (PostgreSQL)."""
        if self._dialect == "postgresql":
            found = self._pick(lambda c: isinstance(c.type, UtcDateTime))
            return self._edited("type", found, literal_column(self._dice.choice(FAR) + "::timestamptz"))
        found = self._pick()
        if found is None:
            return None
        name, now = found[1].name, found[2][found[1].name]
        forms = ["x''", "x'ff'"] if now is None else [f"cast({name} as blob)"]
        if storage_class(found[1].type) == "integer":
            forms += ["1.5", "'forged'"]
        elif isinstance(found[1].type, UtcDateTime):
            forms += ["7", "1.5", "'never'", "'2026-02-30 00:00:00.000000'", "'2026'"]
        return self._edited("type", found, literal_column(self._dice.choice(forms)))

    def _null(self) -> Tampering | None:
        """Null instead of an empty value, or the reverse."""
        found = self._pick(lambda c: not isinstance(c.type, UtcDateTime))
        if found is None:
            return None
        _, column, row = found
        now = row[column.name]
        if now is not None and column.nullable:
            return self._edited("null", found, null())
        nothing = "0" if storage_class(column.type) == "integer" else "''"
        if isinstance(column.type, Boolean):
            nothing = "false"
        elif isinstance(column.type, JsonText):
            nothing = "'null'" + ("::jsonb" if self._dialect == "postgresql" else "")
        return None if now in (0, "") else self._edited("null", found, literal_column(nothing))

    def _instant(self) -> Tampering | None:
        found = self._pick(lambda c: isinstance(c.type, UtcDateTime))
        if found is None or found[2][found[1].name] is None:
            return None
        return self._edited("instant", found, found[2][found[1].name] + self._dice.choice([-1, 1]) * _TICK)

    def _move(self) -> Tampering | None:
        """Move a row to another existing account."""
        found = self._pick(lambda c: c.name == "account_id")
        others = [i for i in self._accounts if found and i != found[2]["account_id"]]
        return self._edited("move", found, self._dice.choice(others)) if others else None

    def _delete(self) -> Tampering | None:
        found = self._pick()
        if found is None:
            return None
        table, _, row = found
        return Tampering(kind="delete", table=table, row=row, statements=[delete(table).where(_same(table, row))])

    def _insert(self) -> Tampering | None:
        found = self._pick()
        if found is None:
            return None
        table, _, row = found
        key = list(table.primary_key)
        other = {c.name: self._other(table, c, row) for c in self._dice.sample(key, self._dice.randint(1, len(key)))}
        made = insert(table).values(row | other)
        return Tampering(kind="insert", table=table, row=row, after=other, statements=[made])

    def _other(self, table: Table, column: Column[Any], row: Values) -> Any:
        """A value that the row does not have: an invented one, or another row's."""
        now = row[column.name]
        for _ in range(20):
            value = self._dice.choice(self._rows[table.name])[column.name]
            if self._dice.random() < 0.7 or value == now:
                value = self._made_up(column, now)
            if value != now:
                return value
        raise AssertionError(f"no other value for {table.name}.{column.name}")

    def _made_up(self, column: Column[Any], now: Any) -> Any:
        if column.nullable and now is not None and self._dice.random() < 0.2:
            return None
        if isinstance(column.type, Boolean):
            return not now
        if isinstance(column.type, UtcDateTime):
            return (now or datetime.fromisoformat("2026-01-06T00:00:00Z")) + self._dice.choice([-1, 1]) * _DAY
        if isinstance(column.type, JsonText):
            return {"forged": True} if self._dialect == "postgresql" else '{"forged": true}'
        if storage_class(column.type) == "integer":
            return (now or 0) + self._dice.choice([-1, 1, 7, 10_000])
        return self._dice.choice(
            ["forged", f"{now or ''} ", (now or "x").swapcase() + "\t", "\\N", "", "\x1b[2J\u202e"]
        )

    # -- a whole account

    def _account(self) -> Tampering | None:
        """Remove an account, add it under another id with all its rows, or give it another id."""
        account = self._dice.choice(self._accounts)
        new = max(self._accounts) + self._dice.choice([1, 7, 10_000])
        made: list[Executable] = []
        what = self._dice.choice(["remove", "add", "rename"])
        for table in OF_ACCOUNTS:
            mine = table.c.account_id == account
            if what == "remove":
                made.append(delete(table).where(mine))
            elif what == "rename":
                made.append(update(table).where(mine).values(account_id=new))
            elif rows := [
                self._under(table, row, new) for row in self._rows[table.name] if row["account_id"] == account
            ]:
                made.append(insert(table).values(rows))
        ids = (account,) if what == "remove" else (account, new)
        row = next(r for r in self._rows["accounts"] if r["account_id"] == account)
        return Tampering(
            kind="account", table=schema.accounts, row=row, after={what: new}, accounts=ids, statements=made
        )

    def _under(self, table: Table, row: Values, account: int) -> Values:
        """A row under another account; columns that the database numbers itself are left out."""
        fresh = {"quarantine_id"}
        return {name: value for name, value in row.items() if name not in fresh} | {"account_id": account}


_TICK, _DAY = timedelta(microseconds=1), timedelta(days=1)


def _same(table: Table, row: Values) -> Any:
    return and_(*(c == row[c.name] for c in table.primary_key))
