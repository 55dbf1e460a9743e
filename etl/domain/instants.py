"""Instants as people write them: ISO 8601, an instant or a date, with a zone or in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(Z|[+-]\d{2}:?\d{2})?", re.IGNORECASE | re.ASCII)
_INSTANT = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}.*)", re.IGNORECASE | re.ASCII)


def parse_instant(text: str) -> datetime:
    """The instant, aware, in UTC. A date means the beginning of that day, in its zone or in UTC.

    Raises `ValueError` with a sentence about the accepted forms.
    """
    text = text.strip().upper()
    date, instant = _DATE.fullmatch(text), _INSTANT.fullmatch(text)
    try:
        if date:
            text = f"{date[1]}T00:00:00{date[2] or ''}"
        elif not instant:
            raise ValueError
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("write 2026-01-31, 2026-01-31T09:30:00Z or 2026-01-31T12:30:00+03:00") from None
