"""Planning of faults: the parts of a call that a fault may change, and the calls that a fault affects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from etl.sandbox.listing import Page, Query
from etl.sandbox.rpc import Reply, Request

LISTING = "get.virtual_numbers"
MISSING: Any = object()
"""Replacement value that omits the value from the reply."""


class Instead(Exception):
    """Ends a call with this response; the request is not processed."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Fault:
    """Base class of faults. A subclass overrides the points at which it changes a call; the base changes nothing."""

    def before(self, request: Request) -> None:
        """Called before the request is processed; may raise Failure or Instead."""

    def query(self, query: Query) -> Query:
        """The query that is answered instead of the request's."""
        return query

    def page(self, page: Page) -> Page:
        """The records that are sent instead of the true ones."""
        return page

    def metadata(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """The metadata that is sent."""
        return metadata

    def reply_id(self, reply_id: bytes | None) -> bytes | None:
        """The JSON of the id that is sent; None leaves it out."""
        return reply_id

    def reply(self, reply: Reply) -> Reply:
        """The response that is sent."""
        return reply


class Planned(Struct):
    """A fault and the calls that it affects: of `method`, where `when` is true, `times` calls from the `at`-th on."""

    fault: Fault
    method: str | None
    at: int
    times: int | None
    when: Callable[[Request], bool] | None
    seen: int = 0

    def strikes(self, request: Request) -> bool:
        """Whether the fault affects this call; counts the call."""
        if self.method not in (None, request.method) or (self.when and not self.when(request)):
            return False
        self.seen += 1
        return self.seen >= self.at and (self.times is None or self.seen < self.at + self.times)


class Faults:
    """The planned faults of an API."""

    def __init__(self) -> None:
        self.planned: list[Planned] = []

    def add(
        self,
        fault: Fault,
        *,
        at: int = 1,
        times: int | None = 1,
        method: str | None = LISTING,
        when: Callable[[Request], bool] | None = None,
    ) -> Planned:
        """Add a fault. It affects `times` calls (None: all) from the `at`-th matching call on, counted from now.

        `method`: None means any method; `when`: a test of the request.
        """
        planned = Planned(fault, method, at, times, when)
        self.planned.append(planned)
        return planned

    def clear(self) -> None:
        """Remove all faults."""
        self.planned.clear()

    def striking(self, request: Request) -> list[Fault]:
        """The faults that affect this call. Call it once for each call, because it counts."""
        return [planned.fault for planned in self.planned if planned.strikes(request)]
