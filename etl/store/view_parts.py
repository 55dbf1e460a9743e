"""Parts of which the views' queries are made: what each database writes differently, and observations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

FAR = {"postgresql": "'infinity'::timestamptz", "sqlite": "'9999-12-31 23:59:59.999999'"}
GREATEST = {"postgresql": "greatest", "sqlite": "max"}
LEAST = {"postgresql": "least", "sqlite": "min"}
DIFFERS = {"postgresql": "is distinct from", "sqlite": "is not"}
EQUALS = {"postgresql": "is not distinct from", "sqlite": "is"}
"""Comparisons for which null is a value."""
NO_TIME = {"postgresql": "null::timestamptz", "sqlite": "null"}

Source = tuple[str, str]
"""A table to read from, and its `valid_to` as SQL: `null` in a table of current rows."""


def parts(*tables: str) -> Iterator[list[Source]]:
    """Every choice of current or closed rows for each of the tables, in their order.

    A view over these parts can use an index in SQLite, too; a view over a history view cannot.
    """
    kinds = [((name, "null"), (f"{name}_closed", "valid_to")) for name in tables]
    yield from (list(choice) for choice in product(*kinds))


def worked_out_once(query: str, columns: int) -> str:
    """A query of so many columns with an empty arm.

    It makes PostgreSQL work each column out once, not wherever the column is used: planning takes a third of the time.
    """
    return f"{query}\nunion all select {', '.join(f'null as c{n}' for n in range(columns))} where 1 = 0"


def observation_before(account: str, moment: str) -> str:
    """The account's last published observation before a moment, null if there is none. `account`: its id in SQL."""
    return (
        f"(select max(p.observed_at) from account_syncs p where p.account_id = {account}"
        f" and p.status = 'succeeded' and p.observed_at < {moment})"
    )


def value_at(table: str, column: str, same: str, moment: str, *, just_before: bool = False) -> str:
    """A column of the version that was valid at a moment, or just before it, as SQL; null if there was none.

    `same`: the condition that finds the versions of one key, of the alias `h`.
    """
    begun, lasts = ("<", ">=") if just_before else ("<=", ">")
    found = (
        f"(select h.{column} from {source} h where {same} and h.valid_from {begun} {moment}"
        + ("" if end == "null" else f" and h.valid_to {lasts} {moment}")
        + ")"
        for ((source, end),) in parts(table)
    )
    return f"coalesce({', '.join(found)})"
