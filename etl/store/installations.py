"""Bindings of the warehouse to installations of the API: ids of accounts are unique only within one host."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, func, insert, select

from etl.domain.installations import origin_of
from etl.errors import OtherInstallation, Usage
from etl.store import schema
from etl.store.engine import begin_writing, database_errors
from etl.store.liveness import refuse_while_running
from etl.store.locks import hold_schema
from etl.store.upsert import insert_new

FIRST = 1
"""Number of a warehouse's first binding; the others follow one by one."""


class Binding(Struct, frozen=True, kw_only=True):
    """Row of `installations`: the origin of the API, and the time from which its accounts are published.

    `run_id`: for the first binding, the run that made it with its first account; None if an operator made it.
    """

    binding_id: int
    origin: str
    bound_at: datetime
    run_id: int | None


def in_force(connection: Connection) -> Binding | None:
    """Newest binding; None before the first account is published."""
    rows = schema.installations
    row = connection.execute(select(rows).order_by(rows.c.binding_id.desc()).limit(1)).first()
    return None if row is None else Binding(**row._mapping)


def refuse_another(connection: Connection, origin: str) -> Binding | None:
    """Binding in force. Raises `OtherInstallation` if it is to another origin."""
    bound = in_force(connection)
    if bound is not None and bound.origin != origin:
        raise OtherInstallation(
            f"this warehouse holds the accounts of {bound.origin}, and the API URL is of {origin}",
            remedy="Use another database or schema for that installation; only if the vendor renamed the host,"
            f" run `vnsync db rebind --to {origin} --yes`",
        )
    return bound


class Installation:
    """Installation that a run reads, and whether the warehouse is known to be bound to it; shared by its threads."""

    def __init__(self, url: str) -> None:
        self.origin = origin_of(url)
        self._bound: Binding | None = None
        self._new: Binding | None = None

    @classmethod
    def required(cls, engine: Engine, url: str) -> Installation:
        """Installation of the API at `url`. Raises `OtherInstallation` if the warehouse is bound to another."""
        installation = cls(url)
        with database_errors(), engine.connect() as connection:
            installation._bound = refuse_another(connection, installation.origin)
        return installation

    @property
    def bound(self) -> bool:
        """Whether the warehouse is known to be bound to it."""
        return self._bound is not None

    @property
    def since(self) -> datetime | None:
        """Earliest time of its observations, whatever the clock says; None for the first installation."""
        return None if self._bound is None or self._bound.run_id is not None else self._bound.bound_at

    def bind(self, connection: Connection, now: datetime, run_id: int) -> None:
        """Bind the warehouse in a transaction that publishes. Does nothing once the binding is known to be committed.

        Waits for another transaction that binds it. Raises `OtherInstallation` if that one binds another origin.
        """
        if self._bound is not None:
            return
        bound = refuse_another(connection, self.origin)
        if bound is None:
            row = {"binding_id": FIRST, "origin": self.origin, "bound_at": now, "run_id": run_id}
            insert_new(connection, schema.installations, row)
            bound = refuse_another(connection, self.origin)
        self._new = bound

    def committed(self) -> None:
        """Note that a transaction in which `bind` was called has been committed."""
        self._bound = self._bound or self._new


class Rebinding(Struct, frozen=True, kw_only=True):
    """Change of a warehouse's installation: from one origin to another, or to the same."""

    before: str
    after: str

    @property
    def changes(self) -> bool:
        """Whether the two differ."""
        return self.before != self.after


def rebinding(engine: Engine, url: str) -> Rebinding:
    """Change that `rebind` would make. Raises `Usage` for a warehouse without a binding."""
    with database_errors(), engine.connect() as connection:
        return _rebinding(_bound(connection), url)


def rebind(engine: Engine, url: str, *, now: datetime) -> Rebinding:
    """Bind the warehouse to the installation at `url`. Earlier bindings are kept, and no other row changes.

    Raises `Usage` for a warehouse without a binding, `TryLater` while a run is in progress.
    """
    with database_errors(), begin_writing(engine) as connection:
        hold_schema(connection)
        refuse_while_running(connection, "what it publishes would be of another installation")
        bound = _bound(connection)
        change = _rebinding(bound, url)
        if change.changes:
            last = connection.scalar(select(func.max(schema.account_syncs.c.observed_at)))
            since = max(now, bound.bound_at, last or now)
            row: dict[str, Any] = {"binding_id": bound.binding_id + 1, "origin": change.after, "bound_at": since}
            connection.execute(insert(schema.installations), row)
        return change


def _bound(connection: Connection) -> Binding:
    bound = in_force(connection)
    if bound is None:
        raise Usage("this warehouse belongs to no installation yet", remedy="The first sync that publishes binds it")
    return bound


def _rebinding(bound: Binding, url: str) -> Rebinding:
    return Rebinding(before=bound.origin, after=origin_of(url))
