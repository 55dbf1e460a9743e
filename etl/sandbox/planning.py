"""How misbehaviour is planned: what a fault may change in a call, and which calls it strikes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from etl.sandbox.listing import Page, Query
from etl.sandbox.rpc import Reply, Request

LISTING = "get.virtual_numbers"
MISSING: Any = object()
"""Stands for 'leave it out' where a fault replaces a value."""


class Instead(Exception):
    """Answer with this response, and do not look at the request."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Fault:
    """A misbehaviour: it may step in at any of these points, and by itself does nothing."""

    def before(self, request: Request) -> None:
        """Before the request is looked at; may raise Failure or Instead."""

    def query(self, query: Query) -> Query:
        """The query that is answered instead of the one that was asked."""
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


@dataclass(slots=True)
class Planned:
    """A fault and the calls that it strikes: of `method`, where `when` holds, from the `at`-th on, `times` of them."""

    fault: Fault
    method: str | None
    at: int
    times: int | None
    when: Callable[[Request], bool] | None
    seen: int = 0

    def strikes(self, request: Request) -> bool:
        """Whether it strikes this call; counts the call."""
        if self.method not in (None, request.method) or (self.when and not self.when(request)):
            return False
        self.seen += 1
        return self.seen >= self.at and (self.times is None or self.seen < self.at + self.times)


class Faults:
    """The misbehaviours that an API has been asked for."""

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
        """Strike from the `at`-th matching call on (counted from now), `times` calls or for ever with None.

        `method` None means any method; `when` looks at the request.
        """
        planned = Planned(fault, method, at, times, when)
        self.planned.append(planned)
        return planned

    def clear(self) -> None:
        """Behave again."""
        self.planned.clear()

    def striking(self, request: Request) -> list[Fault]:
        """The faults that strike this call; to be asked once for each call."""
        return [planned.fault for planned in self.planned if planned.strikes(request)]
