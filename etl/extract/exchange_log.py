"""The tap at the network's edge: every answer as it was received, told to whoever keeps evidence, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etl.domain.ports import Clock
from etl.domain.recorder import Exchange, Tap
from etl.errors import VnsyncError
from etl.extract.envelope import records_place
from etl.extract.redaction import Redaction


@dataclass(frozen=True)
class RequestSummary:
    """A request as evidence of it may be kept: its parameters without the key."""

    method: str
    params: Mapping[str, Any]
    request_id: int


@dataclass(frozen=True)
class ExchangeTap:
    """Tells the tap; with no tap, nobody. What the tap raises stops the request: an answer unheard is not used."""

    tap: Tap | None
    clock: Clock
    redaction: Redaction

    def heard(self, asked: RequestSummary, body: bytes, status: int | None) -> None:
        """An answer came whole, be it a result or an error."""
        if self.tap is not None:
            masks = self.redaction.is_in(body)
            safe = self.redaction.hidden_in(body, records_place(body)) if masks else body
            self._tell(asked, status=status, body=safe, redacted=safe is not body)

    def missed(self, asked: RequestSummary, reason: VnsyncError, status: int | None) -> None:
        """No answer came, or none that can be read whole."""
        if self.tap is not None:
            self._tell(asked, status=status, error=self.redaction.quote(reason))

    def _tell(self, asked: RequestSummary, **came: Any) -> None:
        assert self.tap is not None
        told = Exchange(
            method=asked.method,
            params=asked.params,
            request_id=asked.request_id,
            received_at=self.clock.now(),
            **came,
        )
        self.tap(told)
