"""The Data API over a world: JSON-RPC requests are admitted, limited, answered and counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import RLock
from typing import Any

from etl.sandbox.failures import Failure
from etl.sandbox.limits import Limits
from etl.sandbox.listing import Caps, Page, Query
from etl.sandbox.methods import METHODS, Call, Method, Result
from etl.sandbox.planning import MISSING, Fault, Faults, Instead
from etl.sandbox.records import encode
from etl.sandbox.rpc import Reply, Request, http_reply, read, refuse_http, write, write_result
from etl.sandbox.sessions import Sessions
from etl.sandbox.world import World

Hook = Callable[[dict[str, Any]], object]


class Api:
    """Data API over `world`; it answers one request at a time. `now`: seconds since the epoch; limits are in points.

    Hooks in `before_request` and `after_request` get each decoded request, and may change the world. `max_limit` and
    `max_offset` (rows), `id_filter` (whether filters on `id` are allowed) and `metadata_first` (the order of `result`)
    may be set at any moment. Hold `lock` to change the world from another thread than the one that answers.
    """

    def __init__(
        self,
        world: World,
        *,
        token: str = "sandbox-key",  # noqa: S107 - opens nothing but this sandbox
        login: str = "sandbox",
        password: str = "sandbox-password",  # noqa: S107 - opens nothing but this sandbox
        minute_limit: int | None = None,
        day_limit: int | None = None,
        now: Callable[[], float] = time.time,
        session_seconds: float = 3600,
    ) -> None:
        self.world, self.token = world, token
        self.sessions = Sessions(token, login, password, self._app_id, now, session_seconds)
        self.limits = Limits(now, minute_limit, day_limit)
        self.faults = Faults()
        self.before_request: list[Hook] = []
        self.after_request: list[Hook] = []
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.max_limit, self.max_offset = 10_000, 100_000
        self.id_filter = True
        self.metadata_first = False
        self.lock = RLock()

    def count(self, method: str) -> int:
        """The count of requests of a method, including refused ones."""
        return sum(name == method for name, _ in self.requests)

    def http(self, method: str, path: str, body: bytes) -> Reply:
        """Answer an HTTP request: 404 and 405 like a web server, other requests like the API."""
        return refuse_http(method, path) or self.handle(body)

    def handle(self, body: bytes) -> Reply:
        """Answer the body of a POST. JSON-RPC errors come with status 200."""
        with self.lock:
            request = Request()
            try:
                read(body, request)
            except Failure as failure:
                return self._refuse(failure, request, [])
            return self._hooked(request)

    def _hooked(self, request: Request) -> Reply:
        for hook in self.before_request:
            hook(request.decoded)
        self.requests.append((request.method, request.public_params))
        reply = self._answer(request, self.faults.striking(request))
        for hook in self.after_request:
            hook(request.decoded)
        return reply

    def _answer(self, request: Request, faults: list[Fault]) -> Reply:
        try:
            for fault in faults:
                fault.before(request)
            result = self._call(request, faults)
        except Instead as instead:
            return instead.reply
        except Failure as failure:
            return self._refuse(failure, request, faults)
        self.limits.spend()
        return self._succeed(result, request, faults)

    def _call(self, request: Request, faults: list[Fault]) -> Result:
        method = METHODS.get(request.method)
        if method is None:
            raise Failure("method_not_found", "method", request.method)
        self._admit(request, method)

        def bend(query: Query) -> Query:
            for fault in faults:
                query = fault.query(query)
            return query

        prohibited: frozenset[str] = frozenset() if self.id_filter else frozenset({"id"})
        caps = Caps(self.max_limit, self.max_offset, prohibited)
        return method.answer(Call(self.world, self.sessions, request.params, caps, bend))

    def _admit(self, request: Request, method: Method) -> None:
        """Check the key, the role, the limits and the parameters' names, in this order."""
        if method.needs_key:
            self.sessions.check(request.params.get("access_token"))
        if method.agent_only and self.world.role != "agent":
            raise Failure("forbidden")
        self.limits.check()
        for name, value in request.public_params.items():
            if name not in method.parameters:
                raise Failure("unexpected_parameters", name, value)

    def _succeed(self, result: Result, request: Request, faults: list[Fault]) -> Reply:
        metadata: dict[str, Any] = {}
        if isinstance(result, Page):
            for fault in faults:
                result = fault.page(result)
            data = [b"[", b",".join(result.rows), b"]"]
            metadata = {} if result.total is MISSING else {"total_items": result.total}
        else:
            data = [encode(result)]
        metadata = self._metadata(metadata, faults)
        payload = write_result(data, metadata, metadata_first=self.metadata_first)
        return self._send(request, "result", payload, faults)

    def _refuse(self, failure: Failure, request: Request, faults: list[Fault]) -> Reply:
        return self._send(request, "error", [encode(failure.payload(self._metadata({}, faults)))], faults)

    def _metadata(self, metadata: dict[str, Any], faults: list[Fault]) -> dict[str, Any]:
        metadata = metadata | self.limits.metadata()
        for fault in faults:
            metadata = fault.metadata(metadata)
        return metadata

    def _send(self, request: Request, member: str, payload: list[bytes], faults: list[Fault]) -> Reply:
        reply_id: bytes | None = request.id
        for fault in faults:
            reply_id = fault.reply_id(reply_id)
        reply = http_reply(200, write(reply_id, member, payload))
        for fault in faults:
            reply = fault.reply(reply)
        return reply

    def _app_id(self) -> int:
        ids = self.world.customer_ids
        return ids[0] if self.world.role == "customer" and ids else self.world.agent_id
