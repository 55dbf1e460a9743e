"""The made-up Data API: answers JSON-RPC from the world, honestly unless the seed's faults say otherwise."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from simulation.customer import Customer
from simulation.ears import Ears, Heard, Sent
from simulation.lies import Draft, Liar
from simulation.swarm import LIES, Swarm
from simulation.world import World

AGENT = 999
"""The agent's own account."""
ROW_LIES = tuple(name for name in LIES if name not in ("filter_ignored", "offset_ignored", "not_a_list"))
ERRORS = {
    "internal_error": (-32603, "internal_error"),
    "unknown_error": (-32050, "brand_new_error"),
    "error_without_data": (0, ""),
    "minute_limit": (0, ""),
    "session_expired": (-32001, "access_token_expired"),
    "forbidden": (0, ""),
}
OUT_OF_REACH = ("forbidden", "ip_not_whitelisted", "method_component_disabled", "account_inactive")
ODD_LIMITS: tuple[Any, ...] = (
    None, "many", [], {"day_remaining": "5"}, {"minute_remaining": 0, "minute_reset": -5}, {"minute_remaining": -1},
    {"minute_remaining": 0, "minute_reset": 0}, {"minute_remaining": 0, "minute_reset": 10**9}, {"day_remaining": -3},
    {"minute_remaining": 0, "minute_reset": "soon"}, {"minute_remaining": True},
)  # fmt: skip


class Refusal(Exception):
    """An error answer."""

    def __init__(self, code: int, mnemonic: str | None, **data: Any) -> None:
        super().__init__(mnemonic)
        self.code, self.mnemonic, self.data = code, mnemonic, data

    def body(self) -> dict[str, Any]:
        """The `error` member."""
        if self.mnemonic is None:
            return {"code": self.code, "message": "no details"}
        return {"code": self.code, "message": self.mnemonic, "data": {"mnemonic": self.mnemonic, **self.data}}


@dataclass
class Answer:
    """The body, and what the asker has heard if it arrives whole."""

    body: bytes
    account_id: int | None = None
    heard: Heard | None = None
    roster: set[int] | None = None
    filter_refused: bool = False
    spent: bool = False


@dataclass
class Server:
    """One API. `filter_known`: whether it filters by id; `day_left`: points left today (None: unlimited)."""

    world: World
    swarm: Swarm
    rng: random.Random
    filter_known: bool = True
    day_left: int | None = None
    user_gone: bool = False
    sessions: int = 0
    _shrunk: dict[str, set[int]] = field(default_factory=dict)

    def new_run(self) -> None:
        """The day's points come back, or are few; customers or users may be hidden for the length of a run."""
        few = self.swarm.on("day_limit") and self.rng.random() < 0.5
        self.swarm.struck["day_limit"] += few
        self.day_left = self.rng.randrange(0, 9) if few else None
        self._shrunk = {"customers": set(), "users": set()}
        for what, ids in (("customers", list(self.world.customers)), ("users", self._user_ids())):
            if self.swarm.strikes(f"{what}_shrunk"):
                self._shrunk[what] = set(self.rng.sample(ids, self.rng.randrange(1, len(ids) + 1)))

    def _user_ids(self) -> list[int]:
        return [u for c in self.world.customers.values() for u in c.users]

    # -- one call

    def answer(self, request: dict[str, Any], ears: Ears) -> Answer:
        """The answer to a request."""
        answer = Answer(b"")
        try:
            self._may(request, ears)
            result = self._result(request, answer)
            if request["method"] != "login.user":
                self._spend(result, answer)
            body: dict[str, Any] = {"result": result}
        except Refusal as refusal:
            body = {"error": refusal.body()}
            answer.filter_refused = refusal.mnemonic in ("filter_prohibited", "unexpected_parameters")
            answer.spent = refusal.data.get("params") == {"limit_type": "day"}
        answer.body = self._encoded({"jsonrpc": "2.0", "id": request["id"], **body})
        return answer

    def _encoded(self, body: dict[str, Any]) -> bytes:
        if self.rng.random() < 0.5:
            return json.dumps(body).encode()
        try:
            return json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return json.dumps(body).encode()

    def _may(self, request: dict[str, Any], ears: Ears) -> None:
        if request["method"] == "login.user":
            return
        self._errors(ears)
        if self.day_left == 0:
            raise Refusal(
                -32029, "limit_exceeded", params={"limit_type": "day"}, metadata={"limits": {"day_reset": 3600}}
            )

    def _errors(self, ears: Ears) -> None:
        for name in ERRORS:
            if self.swarm.strikes(name):
                ears.faults.add(name)
                raise self._refusal(name)

    def _refusal(self, name: str) -> Refusal:
        if name == "forbidden":
            return Refusal(-32003, self.rng.choice(OUT_OF_REACH))
        if name == "error_without_data":
            return Refusal(self.rng.choice((-32603, -32003, -32602)), None)
        if name == "minute_limit":
            limits = {"limits": {"minute_reset": 3}}
            return Refusal(-32029, "limit_exceeded", params={"limit_type": "minute"}, metadata=limits)
        code, mnemonic = ERRORS[name]
        return Refusal(code, mnemonic)

    def _spend(self, result: dict[str, Any], answer: Answer) -> None:
        if self.day_left is not None:
            self.day_left -= 1
            answer.spent = self.day_left == 0
            result["metadata"]["limits"] = {"day_limit": 100, "day_remaining": self.day_left, "day_reset": 3600}
        elif self.swarm.strikes("odd_limits"):
            result["metadata"]["limits"] = self.rng.choice(ODD_LIMITS)

    def _result(self, request: dict[str, Any], answer: Answer) -> dict[str, Any]:
        params = request["params"]
        match request["method"]:
            case "login.user":
                self.sessions += 1
                return {"data": {"access_token": f"session-{self.sessions}"}, "metadata": {}}
            case "get.customer_users":
                return self._users(answer)
            case "get.customers":
                return self._customers(answer)
            case "get.account":
                return self._account(params)
            case "get.virtual_numbers":
                return self._numbers(params, answer)
        raise Refusal(-32601, "method_not_found")

    # -- who

    def _users(self, answer: Answer) -> dict[str, Any]:
        if self.world.role == "customer":
            answer.roster = set(self.world.customers)
            raise Refusal(-32003, "method_component_disabled")
        users = [
            {"id": u, "login": f"u{u}", "customer_id": c.id}
            for c in self.world.customers.values()
            for u in (c.users[1:] if self.user_gone and len(c.users) > 1 else c.users)
            if u not in self._shrunk["users"]
        ]
        listed = self._listed(users)
        answer.roster = {u["customer_id"] for u in listed["data"]}
        return listed

    def _customers(self, answer: Answer) -> dict[str, Any]:
        if self.world.role == "customer":
            raise Refusal(-32003, "method_component_disabled")
        customers = [
            {"id": c.id, "name": c.name} for c in self.world.customers.values() if c.id not in self._shrunk["customers"]
        ]
        listed = self._listed(customers)
        answer.roster = {c["id"] for c in listed["data"]}
        return listed

    def _listed(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        rows = [] if self.swarm.strikes("roster_empty") else rows
        return {"data": rows, "metadata": {"total_items": len(rows)}}

    def _account(self, params: dict[str, Any]) -> dict[str, Any]:
        if self.world.role == "agent" and "user_id" not in params:
            row = {"app_id": AGENT, "name": "the agent", "timezone": "UTC"}
        else:
            customer = self._customer(params)
            row = {"app_id": customer.id, "name": customer.name, "timezone": customer.timezone}
        return {"data": [row], "metadata": {}}

    def _customer(self, params: dict[str, Any]) -> Customer:
        if self.world.role == "customer":
            return next(iter(self.world.customers.values()))
        if "user_id" not in params:
            raise Refusal(-32602, "required_parameter_missed", field="user_id")
        return next(c for c in self.world.customers.values() if params["user_id"] in c.users)

    # -- numbers

    def _numbers(self, params: dict[str, Any], answer: Answer) -> dict[str, Any]:
        customer = self._customer(params)
        answer.account_id = customer.id
        where = params.get("filter")
        if where is not None and not self.filter_known:
            raise Refusal(-32602, "unexpected_parameters", field="filter")
        if where is not None and self.swarm.strikes("filter_prohibited"):
            raise Refusal(-32602, "filter_prohibited", field="id")
        answer.heard = heard = self._heard(customer, params, where)
        data: Any = [s.record for s in heard.sent]
        total = heard.total
        if self.swarm.strikes("not_a_list"):
            data = self.rng.choice(({"rows": data}, None, 5))
            heard.lies.append("not_a_list")
            heard.sent, heard.total = [], None  # nobody can read what it said
        return {"data": data, "metadata": {"total_items": total}}

    def _heard(self, customer: Customer, params: dict[str, Any], where: Any) -> Heard:
        matching = [n for n in customer.visible_to(params.get("user_id")) if matches(where, n)]
        first, limit = params["offset"], params["limit"]
        asked_for = frozenset(matching)
        ignored = [
            name
            for name, opening in (("filter_ignored", where is not None), ("offset_ignored", first > 0))
            if opening and self.swarm.strikes(name)
        ]
        if ignored:
            matching = matching if "filter_ignored" not in ignored else customer.visible_to(params.get("user_id"))
            first = 0 if "offset_ignored" in ignored else first
        rows = matching[first : first + limit]
        sent = [Sent(n, customer.record(n, self.world.edition, self.rng)) for n in rows]
        draft = Draft(sent, len(matching), ignored)
        self._bend(draft, customer, limit)
        asked = frozenset(where["value"]) if where and where.get("operator") == "in" else None
        hidden = asked_for - {s.id for s in draft.sent} if draft.lies else frozenset()
        query = json.dumps([where, params["offset"]])
        whole = where is None and params["offset"] == 0
        return Heard(self.world.tick, query, asked, whole, draft.sent, draft.total, draft.lies, hidden, limit)

    def _bend(self, draft: Draft, customer: Customer, limit: int) -> None:
        liar = Liar(self.rng, limit, lambda: self._record_of_another(customer))
        for name in ROW_LIES:
            if self.swarm.strikes(name):
                liar.tell(name, draft)

    def _record_of_another(self, customer: Customer) -> dict[str, Any] | None:
        if self.world.role == "customer" or self.world.edition == "older":
            return None
        others = [c for c in self.world.customers.values() if c is not customer and c.heap]
        if not others:
            return None
        other = self.rng.choice(others)
        number_id = self.rng.choice(other.heap)
        if number_id in customer.numbers:
            return None
        return {**other.record(number_id, self.world.edition, self.rng), "child_customer_id": other.id}


def matches(where: Any, number_id: int) -> bool:
    """Whether a number passes the filter."""
    if where is None:
        return True
    if "filters" in where:
        return all(matches(part, number_id) for part in where["filters"])
    value, operator = where["value"], where["operator"]
    if operator == "in":
        return number_id in value
    return bool({">": number_id > value, "<=": number_id <= value}[operator])
