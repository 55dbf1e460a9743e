"""Faults of the protocol, which the sandbox makes on request.

For example:

    api.faults.add(Drop(1))                      # the next answer of get.virtual_numbers lacks one row
    api.faults.add(error("internal_error"), at=3, times=2)
    api.faults.add(IgnoreFilter(), times=None)   # in every call
    api.faults.add(http(502), method=None)       # in the next call of any method
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from etl.sandbox.failures import Failure
from etl.sandbox.listing import Page, Query, decode_row
from etl.sandbox.planning import LISTING, MISSING, Fault, Faults, Instead
from etl.sandbox.records import encode
from etl.sandbox.rpc import Reply, Request, http_reply

__all__ = [
    "LISTING", "MISSING", "Answer", "Body", "Deprecated", "Drop", "DropIds", "Duplicate", "EmptyPage", "Fault",
    "Faults", "Foreign", "IgnoreFilter", "IgnoreOffset", "Limits", "NoRows", "Refuse", "ReplyId", "TotalItems", "error",
    "http", "redirect", "reshape",
]  # fmt: skip


class Refuse(Struct, Fault, frozen=True):
    """An error instead of the answer; no point is spent."""

    mnemonic: str
    field: str | None
    value: Any
    details: dict[str, Any]

    def before(self, request: Request) -> None:
        """Raise the failure."""
        raise Failure(self.mnemonic, self.field, self.value, **self.details)


def error(mnemonic: str, field: str | None = None, value: Any = None, **details: Any) -> Refuse:
    """An error by its mnemonic, which may be unknown. `details` as in Failure: params, code, message, bare..."""
    return Refuse(mnemonic, field, value, details)


class Answer(Struct, Fault, frozen=True):
    """Any HTTP response instead of the answer, like that of a gateway before the API; no point is spent."""

    response: Reply

    def before(self, request: Request) -> None:
        """Raise the response."""
        raise Instead(self.response)


def http(status: int, body: bytes = b"<html><h1>Bad gateway</h1></html>", **headers: str) -> Answer:
    """An HTTP response, in HTML unless `content_type` is given; in header names `_` stands for `-`."""
    content_type = headers.pop("content_type", "text/html; charset=UTF-8")
    return Answer(http_reply(status, body, content_type, **{k.replace("_", "-"): v for k, v in headers.items()}))


def redirect(location: str, status: int = 307) -> Answer:
    """A redirect to another URL."""
    return http(status, b"", Location=location)


class ReplyId(Struct, Fault, frozen=True):
    """Another id in the reply, of any JSON type; MISSING omits it, a function gets the id that was sent."""

    id: Any

    def reply_id(self, reply_id: bytes | None) -> bytes | None:
        """The other id."""
        if self.id is MISSING:
            return None
        return encode(self.id(reply_id) if callable(self.id) else self.id)


class TotalItems(Struct, Fault, frozen=True):
    """Another total_items, of any JSON type; MISSING omits it, a function gets the true one."""

    total: Any

    def page(self, page: Page) -> Page:
        """The page with the other total."""
        return replace(page, total=self.total(page.total) if callable(self.total) else self.total)


class Drop(Struct, Fault, frozen=True):
    """Last `count` rows of an answer are missing, while total_items still counts them: N-1 of N."""

    count: int = 1

    def page(self, page: Page) -> Page:
        """The page without its last rows."""
        return page.with_rows(page.rows[: max(0, len(page.rows) - self.count)])


class DropIds(Struct, Fault, frozen=True):
    """Numbers that are missing from an answer, while total_items still counts them."""

    ids: frozenset[int]

    def page(self, page: Page) -> Page:
        """The page without these numbers."""
        return page.with_rows([row for row in page.rows if decode_row(row).get("id") not in self.ids])


class Duplicate(Struct, Fault, frozen=True):
    """First row repeated at the end of the page: the same row, or with `changes` made to it."""

    changes: dict[str, Any] | None = None

    def page(self, page: Page) -> Page:
        """The page with its first row twice."""
        if not page.rows:
            return page
        again = encode(decode_row(page.rows[0]) | self.changes) if self.changes else page.rows[0]
        return page.with_rows([*page.rows, again])


class IgnoreFilter(Fault):
    """Ignored filter: any number may come."""

    def query(self, query: Query) -> Query:
        """The query without its filter."""
        return replace(query, filter=None)


class IgnoreOffset(Fault):
    """Ignored offset: the first page comes again."""

    def query(self, query: Query) -> Query:
        """The query from the start."""
        return replace(query, offset=0)


class Foreign(Fault):
    """Row of another customer at the end of the page; total_items counts it."""

    def page(self, page: Page) -> Page:
        """The page with the row of another customer."""
        if page.foreign is None:
            return page
        total = page.total + 1 if isinstance(page.total, int) else page.total
        return replace(page, rows=[*page.rows, page.foreign()], total=total)


class EmptyPage(Fault):
    """Page without rows, while total_items is true."""

    def page(self, page: Page) -> Page:
        """The page without rows."""
        return page.with_rows([])


class NoRows(Fault):
    """Page without rows and with total_items 0, as if the customer had no numbers."""

    def page(self, page: Page) -> Page:
        """An empty listing."""
        return replace(page, rows=[], total=0)


class Limits(Struct, Fault, frozen=True):
    """Other `limits` in the metadata, of any JSON type; MISSING omits them."""

    limits: Any

    def metadata(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """The metadata with the other limits."""
        rest = {name: value for name, value in metadata.items() if name != "limits"}
        return rest if self.limits is MISSING else rest | {"limits": self.limits}


class Deprecated(Struct, Fault, frozen=True):
    """Notice in the metadata that this version of the API is deprecated. `says`: the value of its flag."""

    current: str = "v2.0"
    latest: str = "v4.0"
    says: object = True

    def metadata(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """The metadata with the notice."""
        version = {
            "current_version_deprecated": self.says,
            "current_version": self.current,
            "latest_version": self.latest,
        }
        return metadata | {"api_version": version}


class Body(Struct, Fault, frozen=True):
    """Body that is changed by a function; Content-Length is that of the changed body."""

    change: Callable[[bytes], bytes]

    def reply(self, reply: Reply) -> Reply:
        """The response with the changed body."""
        return http_reply(reply.status, self.change(reply.body))


def reshape(**members: Any) -> Body:
    """Other members of the reply, of any JSON type; MISSING omits one: `reshape(result=None)`."""

    def change(body: bytes) -> bytes:
        reply = msgspec.json.decode(body, type=dict[str, msgspec.Raw]) | members
        return encode({name: value for name, value in reply.items() if value is not MISSING})

    return Body(change)
