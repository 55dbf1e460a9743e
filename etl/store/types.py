"""Column types that mean the same on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, DateTime, Integer, LargeBinary, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from etl.domain.tables import Kind
from etl.errors import UnreadableValue


class UtcDateTime(TypeDecorator[datetime]):
    """An instant in UTC, to the microsecond: `timestamptz`, or text `YYYY-MM-DD HH:MM:SS.ffffff` in SQLite.

    Takes and returns aware datetimes. A datetime without a zone is refused, because its meaning is unknown.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The instant in UTC; for SQLite without the zone, which it cannot store."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The instant, aware, in UTC."""
        return None if value is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """Reader of stored instants. SQLite may hold any value: one that is no instant raises `UnreadableValue`."""
        return _instant if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _instant(stored: Any) -> datetime | None:
    if stored is None:
        return None
    try:
        return datetime.fromisoformat(stored).replace(tzinfo=UTC)
    except (TypeError, ValueError):
        raise UnreadableValue from None


ID = BigInteger().with_variant(Integer(), "sqlite")
"""64-bit ids; plain INTEGER in SQLite."""


class JsonText(TypeDecorator[Any]):
    """JSON in an order of our own: JSONB in PostgreSQL, canonical text in SQLite.

    PostgreSQL's dialect is imported only when it is used, because that takes as long as reading half a window.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column's type."""
        if dialect.name != "postgresql":
            return dialect.type_descriptor(Text())
        from sqlalchemy.dialects.postgresql import JSONB

        return dialect.type_descriptor(JSONB())


JSON_TEXT = JsonText()

TYPES: dict[Kind, TypeEngine[Any]] = {
    Kind.INTEGER: ID,
    Kind.TEXT: Text(),
    Kind.BOOLEAN: Boolean(),
    Kind.JSON: JSON_TEXT,
}


def storage_class(type_: TypeEngine[Any]) -> str:
    """The storage class (`typeof`) that SQLite must give to a column's values other than null.

    SQLite stores any value in any column, and sorts by storage class first: an instant stored as a blob would come
    after all text.
    """
    if isinstance(type_, Integer | Boolean):
        return "integer"
    return "blob" if isinstance(type_, LargeBinary) else "text"
