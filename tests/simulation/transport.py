"""Network between one process and the API: it carries requests, and loses, cuts and confuses answers."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable

import httpx

from tests.simulation.response_log import ResponseLog
from tests.simulation.server import Answer, Server
from tests.simulation.swarm import Swarm

STATUSES = {"http_503": 503, "http_429": 429, "http_403": 403, "http_404": 404, "redirect": 302}
WHOLE = ("html", "empty_body", "truncated", "stale_answer", "wrong_id", "gzip_cut")
MOST_REQUESTS = 3000
"""More requests than any process in these small worlds needs; a process with more is in an endless loop."""


class SimTransport(httpx.BaseTransport):
    """Transport of one process. `reach` is called before and after each request."""

    def __init__(self, server: Server, swarm: Swarm, rng: random.Random, reach: Callable[[str, str], None]) -> None:
        self._server, self._swarm, self._rng, self._reach = server, swarm, rng, reach
        self.response_log = ResponseLog()
        self._earlier: list[bytes] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request, and return its answer or raise its failure."""
        asked = json.loads(request.content)
        response_log = self.response_log
        response_log.requests += 1
        response_log.beyond_spent += response_log.spent
        if response_log.requests > MOST_REQUESTS:
            raise RuntimeError("this process asks for ever")
        self._reach("request", f"{asked['method']} {json.dumps(asked['params'].get('filter'))}")
        self._server.world.stir()
        self._lost(request)
        for name, status in STATUSES.items():
            if self._struck(name):
                return httpx.Response(status, headers={"location": "https://elsewhere.example/"})
        answer = self._server.answer(asked, response_log)
        body = self._damaged(answer)
        self._note(answer, whole=body is None)
        self._server.world.stir()
        self._reach("answer", asked["method"])
        return self._response(answer.body if body is None else body)

    def _struck(self, name: str) -> bool:
        if self._swarm.strikes(name):
            self.response_log.faults.add(name)
            return True
        return False

    def _lost(self, request: httpx.Request) -> None:
        if self._struck("unreachable"):
            raise httpx.ConnectError("no route", request=request)
        if self._struck("read_timeout"):
            raise httpx.ReadTimeout("silence", request=request)

    def _damaged(self, answer: Answer) -> bytes | None:
        """The bytes that arrive instead of the answer; None: the answer itself."""
        for name in WHOLE:
            if self._struck(name):
                return bytes(getattr(self, f"_{name}")(answer.body))
        self._earlier = [*self._earlier[-3:], answer.body]
        return None

    def _html(self, body: bytes) -> bytes:
        return b"<html>please log in</html>"

    def _empty_body(self, body: bytes) -> bytes:
        return b""

    def _truncated(self, body: bytes) -> bytes:
        return body[: self._rng.randrange(len(body))]

    def _stale_answer(self, body: bytes) -> bytes:
        return self._rng.choice(self._earlier or [b""])

    def _wrong_id(self, body: bytes) -> bytes:
        sent = json.loads(body)
        if "error" in sent:
            return b""
        sent["id"] = self._rng.choice((str(sent["id"]), None, sent["id"] + 1, True))
        if self._rng.random() < 0.3:
            del sent["id"]
        return json.dumps(sent).encode()

    def _gzip_cut(self, body: bytes) -> bytes:
        whole = gzip.compress(body, 0, mtime=0)  # stored, because a compressed body of equal rows would count as a bomb
        return whole[: self._rng.randrange(3, len(whole))]

    def _response(self, body: bytes) -> httpx.Response:
        if body[:2] == b"\x1f\x8b":
            return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(body))
        if self._rng.random() < 0.1:
            return httpx.Response(
                200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(gzip.compress(body, 1, mtime=0))
            )
        return httpx.Response(200, stream=httpx.ByteStream(body))

    def _note(self, answer: Answer, *, whole: bool) -> None:
        response_log = self.response_log
        if not whole:
            return
        response_log.spent = response_log.spent or answer.spent
        if answer.roster is not None:
            response_log.roster = (response_log.roster or set()) | answer.roster
        response_log.faults.update(answer.struck)
        if answer.account_id is None:
            return
        log = response_log.account(answer.account_id)
        log.filter_refused = log.filter_refused or answer.filter_refused
        if answer.heard is not None:
            log.take(answer.viewer, answer.heard)
            response_log.faults.update(answer.heard.response_faults)
