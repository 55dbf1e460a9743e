"""Names of column types in each database."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

_DIALECTS: dict[str, Dialect] = {"postgresql": postgresql.dialect(), "sqlite": sqlite.dialect()}  # type: ignore[no-untyped-call]


def type_names(type_: TypeEngine[Any]) -> dict[str, str]:
    """Name of a type in each database, in lower case, such as `timestamp with time zone`."""
    return {name: type_.compile(dialect=dialect).lower() for name, dialect in _DIALECTS.items()}
