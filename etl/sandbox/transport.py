"""The sandbox without a socket: a transport for httpx clients."""

from __future__ import annotations

import httpx

from etl.sandbox.api import Api


class SandboxTransport(httpx.BaseTransport):
    """Carries an httpx client's requests to an Api in the same process, whatever host they name."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        reply = self.api.http(request.method, request.url.path, request.read())
        return httpx.Response(reply.status, headers=reply.headers, stream=httpx.ByteStream(reply.body))
