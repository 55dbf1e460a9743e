"""Parts of which tables are declared for SQLAlchemy: columns with their meaning, keys, references to runs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ForeignKeyConstraint, MetaData
from sqlalchemy.types import TypeEngine

from etl.domain.meaning import Meaning
from etl.store.types import ID

MEANING = "meaning"
"""Key in the `info` of a table (a text) and of a column (a `Meaning`): what its sentence says."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def column(
    name: str,
    type_: TypeEngine[Any] | type[TypeEngine[Any]],
    text: str,
    *,
    null: str | None = None,
    field: str | None = None,
    **more: Any,
) -> Column[Any]:
    """A column and its meaning. It takes null exactly if `null` says what that stands for."""
    return meant(name, type_, Meaning(text=text, null=null, field=field), **more)


def meant(name: str, type_: TypeEngine[Any] | type[TypeEngine[Any]], meaning: Meaning, **more: Any) -> Column[Any]:
    """A column of a given meaning, from which it follows whether it takes null."""
    return Column(name, type_, nullable=meaning.null is not None, info={MEANING: meaning}, **more)


def key(name: str, text: str, **more: Any) -> Column[Any]:
    """An id that is a part of the primary key."""
    return column(name, ID, text, primary_key=True, autoincrement=False, **more)


def account_key() -> Column[Any]:
    """The account, as the first part of a key."""
    field = "get.account $.app_id, under an agent get.customer_users $.customer_id"
    return key("account_id", "Id of the account", field=field)


def run_references(*names: str) -> list[ForeignKeyConstraint]:
    """Foreign keys of columns that hold the id of a run."""
    return [ForeignKeyConstraint([name], ["sync_runs.run_id"]) for name in names]
