"""Transport for httpx clients: the sandbox without a socket."""

from __future__ import annotations

import httpx

from etl.sandbox.api import Api


class SandboxTransport(httpx.BaseTransport):
    """Transport from an httpx client to an Api in the same process, for requests to any host."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        reply = self.api.http(request.method, request.url.path, request.read())
        return httpx.Response(reply.status, headers=reply.headers, stream=httpx.ByteStream(reply.body))
