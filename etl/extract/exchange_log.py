"""Exchange log: every answer as it was received, without secrets, passed to the archive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from etl.domain.ports import Clock
from etl.domain.recorder import Exchange, Tap
from etl.errors import VnsyncError
from etl.extract.envelope import records_place
from etl.extract.redaction import Redaction


class RequestSummary(Struct, frozen=True):
    """A request as it may be kept: its parameters without the key."""

    method: str
    params: Mapping[str, Any]
    request_id: int


class ExchangeTap(Struct, frozen=True):
    """Passes each exchange to `tap`, if any. An error of `tap` stops the request: no answer goes unrecorded."""

    tap: Tap | None
    clock: Clock
    redaction: Redaction

    def answered(self, request: RequestSummary, body: bytes, status: int | None) -> None:
        """Pass on a whole answer: a result or an error."""
        if self.tap is not None:
            masks = self.redaction.is_in(body)
            safe = self.redaction.hidden_in(body, records_place(body)) if masks else body
            self._pass_on(request, status=status, body=safe, redacted=safe is not body)

    def failed(self, request: RequestSummary, reason: VnsyncError, status: int | None) -> None:
        """Pass on a request that got no answer, or none that could be read to its end."""
        if self.tap is not None:
            self._pass_on(request, status=status, error=self.redaction.quote(reason))

    def _pass_on(self, request: RequestSummary, **outcome: Any) -> None:
        assert self.tap is not None
        exchange = Exchange(
            method=request.method,
            params=request.params,
            request_id=request.request_id,
            received_at=self.clock.now(),
            **outcome,
        )
        self.tap(exchange)
