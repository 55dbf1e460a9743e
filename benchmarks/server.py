"""A Data API that serves ready bytes, so that the source's own work does not count: a process of its own.

`python -m benchmarks.server --numbers 100000` prints one JSON line (url, token) and serves until it is ended. A POST of
{"days": 1} to /state takes the source to another day; see `numbers` for what a day changes.
"""

from __future__ import annotations

import argparse
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.numbers import Account

TOKEN = "benchmark-token"
FIRST_CUSTOMER, SPACE = 9001, 1.3
"""The first customer's id; and how much room for new numbers an account leaves to the next."""
Answer = tuple[Any, int]


class Source:
    """The accounts in one state. `customers` is 0 for a customer's own token."""

    def __init__(self, numbers: int, customers: int, latency: float) -> None:
        self.numbers, self.customers, self.latency = numbers, customers, latency
        self.accounts: dict[int, Account] = {}
        self.go_to(0)

    def go_to(self, days: int) -> None:
        """Take the source to the state after so many days."""
        each = self.numbers // max(1, self.customers)
        room = int(each * SPACE) + 10
        self.accounts = {
            FIRST_CUSTOMER + n: Account(n * room, each, days, FIRST_CUSTOMER + n if self.customers else None)
            for n in range(max(1, self.customers))
        }

    def answer(self, method: str, params: dict[str, Any]) -> Answer | None:
        """The rows, as bytes or as objects, and how many match; None where the method is refused."""
        if method == "get.virtual_numbers":
            return self._numbers(params)
        if method == "get.account":
            return [{"app_id": params.get("user_id", FIRST_CUSTOMER), "name": "A customer", "timezone": "UTC"}], 1
        rows: Any = {
            "get.customer_users": [{"id": c, "customer_id": c} for c in self.accounts],
            "get.customers": [{"id": c, "name": f"Customer {c}"} for c in self.accounts],
        }.get(method)
        return (rows, len(rows)) if rows and self.customers else None

    def _numbers(self, params: dict[str, Any]) -> Answer:
        account = self.accounts[params.get("user_id", FIRST_CUSTOMER)]
        edges: dict[str, Any] = {}
        where = params.get("filter") or {}
        for one in where.get("filters", [where] if where else []):
            edges[one["operator"]] = one["value"]
        if "in" in edges:
            found = account.picked(edges["in"])
            return found, found.count(b'"virtual_phone_number"')
        low, high = account.between(edges.get(">"), edges.get("<="))
        start = min(low + int(params.get("offset", 0)), high)
        return account.slice(start, min(high, start + int(params.get("limit", 1000)))), high - low


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    source: Source

    def do_POST(self) -> None:
        """Answer one request."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/state":
            self.source.go_to(asked["days"])
            self._send([b"{}"])
            return
        time.sleep(self.source.latency)
        answer = self.source.answer(asked["method"], asked["params"])
        head = b'{"jsonrpc":"2.0","id":%d,' % asked["id"]
        if answer is None:
            self._send([head, b'"error":{"code":-32003,"message":"no","data":{"mnemonic":"forbidden"}}}'])
            return
        rows, total = answer
        data = rows if isinstance(rows, bytes | memoryview) else json.dumps(rows)[1:-1].encode()
        self._send([head, b'"result":{"data":[', data, b'],"metadata":{"total_items":%d}}}' % total])

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def _send(self, parts: list[Any]) -> None:
        size = sum(len(part) for part in parts)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode()
        self.wfile.write(head + bytes(parts[0]))
        for part in parts[1:]:
            self.wfile.write(part)


class Server(ThreadingHTTPServer):
    """Listens on a free port of this machine."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, source: Source) -> None:
        super().__init__(("127.0.0.1", 0), type("Bound", (Handler,), {"source": source}))
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v2.0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=int, default=100_000)
    parser.add_argument("--customers", type=int, default=0, help="an agency with so many customers; 0: one account")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    asked = parser.parse_args()
    server = Server(Source(asked.numbers, asked.customers, asked.latency))
    print(json.dumps({"url": server.url, "token": TOKEN}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
