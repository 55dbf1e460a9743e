"""Scripted Data API: a function for each method, for rosters, rights and answers that the sandbox does not have."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy import Engine, text

from etl.domain.events import Event, Notice
from etl.domain.runs import RunResult
from etl.extract.credentials import Credentials, PermanentKey
from etl.extract.jsonrpc import open_api
from etl.sync.run import SyncOptions, sync
from tests.support.rig import FakeClock

Record = dict[str, Any]
Method = Callable[[Record], Iterable[Record]]
URL = "https://dataapi.example/v2.0"
DAY = 86_400.0


class Refused(Exception):
    """An error answer: its code, its mnemonic and the field that it names."""

    def __init__(self, code: int, mnemonic: str, named: str | None = None) -> None:
        super().__init__(mnemonic)
        self.code, self.mnemonic, self.named = code, mnemonic, named


FORBIDDEN = Refused(-32003, "forbidden")
INACTIVE = Refused(-32009, "account_inactive")


def number(number_id: int, **fields: Any) -> Record:
    """A minimal record of the newer edition."""
    return {
        "id": number_id,
        "child_customer_id": None,
        "virtual_phone_number": f"7495{number_id:07}",
        "redirection_phone_number": None,
        "activation_date": None,
        "status": "active",
        "category": "usual",
        "type": "va",
        "comment": None,
        "name": None,
        "campaigns": [],
        "scenarios": [],
    } | fields


def numbers(ids: Iterable[int]) -> list[Record]:
    """Records with these ids."""
    return [number(i) for i in ids]


def user(user_id: int, customer_id: int | None) -> Record:
    """A row of `get.customer_users`."""
    return {"id": user_id, "customer_id": customer_id}


def customer(customer_id: int, name: str, status: str = "active") -> Record:
    """A row of `get.customers`."""
    return {"id": customer_id, "name": name, "status": status}


def account(app_id: int, name: str = "Alpha", timezone: str = "Asia/Dubai") -> Record:
    """A row of `get.account`."""
    return {"app_id": app_id, "name": name, "timezone": timezone}


def refusing(refusal: Refused) -> Method:
    """A method that always answers with this error."""

    def method(_params: Record) -> Iterable[Record]:
        raise refusal

    return method


def matches(record: Record, where: Any) -> bool:
    """Whether a record passes the filter of a request."""
    if not where:
        return True
    if "filters" in where:
        return all(matches(record, part) for part in where["filters"])
    tests: dict[str, Callable[[Any, Any], bool]] = {
        "in": lambda a, b: a in b,
        ">": lambda a, b: a > b,
        "<=": lambda a, b: a <= b,
    }
    return bool(tests[where["operator"]](record["id"], where["value"]))


Bend = Callable[[Record, list[Record]], tuple[list[Record], int]]
"""Function that makes an answer's rows and `total_items` from the request's parameters and the matching rows."""


@dataclass
class Vendor(httpx.BaseTransport):
    """API of the functions in `methods`; other methods are forbidden. `calls`: method and parameters of each request.

    `bend`: changes the answers of `get.virtual_numbers`; `sessions`: the session key that a login is given.
    """

    methods: dict[str, Method]
    bend: Bend | None = None
    sessions: str | None = None
    calls: list[tuple[str, Record]] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to one request."""
        asked = json.loads(request.read())
        method, params = asked["method"], asked["params"]
        self.calls.append((method, {k: v for k, v in params.items() if k != "access_token"}))
        answer = {"jsonrpc": "2.0", "id": asked["id"], **self._answer(method, params)}
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(answer).encode()))

    def _answer(self, method: str, params: Record) -> Record:
        if method == "login.user":
            return {"result": {"data": {"access_token": self.sessions, "app_id": 51}}}
        try:
            rows = list(self.methods.get(method, refusing(FORBIDDEN))(params))
        except Refused as refusal:
            data = {"mnemonic": refusal.mnemonic, "field": refusal.named}
            return {"error": {"code": refusal.code, "message": "words", "data": data}}
        rows = [row for row in rows if matches(row, params.get("filter"))]
        if self.bend is not None and method == "get.virtual_numbers":
            rows, total = self.bend(params, rows)
        else:
            total = len(rows)
            first, limit = params.get("offset", 0), params.get("limit", 10_000)
            rows = rows[first : first + limit]
        return {"result": {"data": rows, "metadata": {"total_items": total}}}

    def asked(self, method: str) -> list[Record]:
        """The parameters of every request for a method."""
        return [params for name, params in self.calls if name == method]


def own_account(listing: Method, app_id: int = 51) -> Vendor:
    """API for a customer's own key."""
    return Vendor({"get.account": lambda _: [account(app_id)], "get.virtual_numbers": listing})


def agency(users: list[Record], customers: list[Record], listing: Method, **methods: Method) -> Vendor:
    """API for an agent's key. `get.account` answers for the user's customer, whose id begins the user's id."""
    answers: dict[str, Method] = {
        "get.customer_users": lambda _: users,
        "get.customers": lambda _: customers,
        "get.account": lambda p: [account(p["user_id"] // 10)],
        "get.virtual_numbers": listing,
    }
    return Vendor(answers | {name.replace("_", ".", 1): method for name, method in methods.items()})


@dataclass
class Warehouse:
    """A warehouse that is synced from scripted vendors, one run a day."""

    engine: Engine
    clock: FakeClock = field(default_factory=FakeClock)
    events: list[Event] = field(default_factory=list)
    random: random.Random = field(default_factory=lambda: random.Random(7))

    def sync(
        self, vendor: Vendor, *, credentials: Credentials | None = None, url: str = URL, **options: Any
    ) -> RunResult:
        """Make one run, a day after the last. `events`: those of this run."""
        self.clock.pass_time(DAY)
        self.events.clear()
        vendor.calls.clear()
        ports: Any = {"clock": self.clock, "random": self.random, "report": self.events.append}
        key = credentials or PermanentKey("a-key-of-the-vendor-s-client-area")
        with open_api(url, key, transport=vendor, **ports) as api:
            return sync(api, self.engine, options=SyncOptions(**options), **ports)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    @property
    def open_ids(self) -> list[int]:
        """The ids of all open numbers, ascending."""
        return [i for (i,) in self.rows("select virtual_number_id from virtual_numbers order by 1")]

    @property
    def notices(self) -> list[str]:
        """The notices of the last run, without the accounts' outcomes."""
        return [e.message for e in self.events if isinstance(e, Notice)]
