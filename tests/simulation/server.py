"""Server of the made-up Data API: it answers JSON-RPC from the world, truthfully except for the seed's faults."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.customer import ACTIVE, Customer
from tests.simulation.directory import Directory, refuse_locked
from tests.simulation.keys import KEYS, Key, Viewer
from tests.simulation.refusal import ERRORS, FORBIDDEN, USER_MISSING, Refusal, struck_by
from tests.simulation.response_faults import Draft, Liar, cut_to
from tests.simulation.response_log import Heard, ResponseLog, Sent
from tests.simulation.swarm import RESPONSE_FAULTS, Swarm
from tests.simulation.world import World

ROW_FAULTS = tuple(
    name for name in RESPONSE_FAULTS if name not in ("filter_ignored", "offset_ignored", "not_a_list", "cut")
)
CUTS = (1, 2, 3, 5, 10, 25)
"""Counts of rows to which a source that cuts its answers may cut them."""
ODD_LIMITS: tuple[Any, ...] = (
    None, "many", [], {"day_remaining": "5"}, {"minute_remaining": 0, "minute_reset": -5}, {"minute_remaining": -1},
    {"minute_remaining": 0, "minute_reset": 0}, {"minute_remaining": 0, "minute_reset": 10**9}, {"day_remaining": -3},
    {"minute_remaining": 0, "minute_reset": "soon"}, {"minute_remaining": True},
)  # fmt: skip


@dataclass
class Answer:
    """The body of an answer, and its log entry if it arrives complete. `struck`: faults that made it a refusal."""

    body: bytes
    account_id: int | None = None
    viewer: Viewer | None = None
    struck: set[str] = field(default_factory=set)
    heard: Heard | None = None
    roster: set[int] | None = None
    filter_refused: bool = False
    spent: bool = False


@dataclass
class Server:
    """One API. `filter_known`: whether it filters by id; `day_left`: points left today (None: unlimited).

    `_cut`: the rows to which every answer of a listing is cut during a run; None: it is not.
    """

    world: World
    swarm: Swarm
    rng: random.Random
    filter_known: bool = True
    day_left: int | None = None
    _sessions: dict[str, Key] = field(default_factory=dict)
    _cut: int | None = None

    def __post_init__(self) -> None:
        self.directory = Directory(self.world, self.swarm, self.rng)

    def new_run(self) -> None:
        """Draw the day's points, and whether answers are cut during the run."""
        few = self.swarm.on("day_limit") and self.rng.random() < 0.5
        self.swarm.struck["day_limit"] += few
        self.day_left = self.rng.randrange(0, 9) if few else None
        cuts = self.swarm.on("cut") and self.rng.random() < 0.5
        self.swarm.struck["cut"] += cuts
        self._cut = self.rng.choice(CUTS) if cuts else None
        self.directory.new_run()

    # -- one call

    def answer(self, request: dict[str, Any], response_log: ResponseLog) -> Answer:
        """The answer to a request."""
        answer = Answer(b"")
        try:
            self._may(request, response_log)
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

    def _may(self, request: dict[str, Any], response_log: ResponseLog) -> None:
        if request["method"] == "login.user":
            return
        self._errors(response_log)
        if self.day_left == 0:
            raise Refusal(
                -32029, "limit_exceeded", params={"limit_type": "day"}, metadata={"limits": {"day_reset": 3600}}
            )

    def _errors(self, response_log: ResponseLog) -> None:
        for name in ERRORS:
            if self.swarm.strikes(name):
                response_log.faults.add(name)
                raise struck_by(name, self.rng)

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
                return self._log_in(params)
            case "get.customer_users":
                return self._roster(answer, "customer_id")
            case "get.customers":
                return self._roster(answer, "id")
            case "get.account":
                return {"data": [self.directory.account(params.get("user_id"))], "metadata": {}}
            case "get.virtual_numbers":
                return self._numbers(params, answer)
        raise Refusal(-32601, "method_not_found")

    # -- rosters

    def _roster(self, answer: Answer, name: str) -> dict[str, Any]:
        """The answer of `get.customers` or `get.customer_users`, from which a roster is made."""
        if self.world.role == "customer":
            answer.roster = set(self.world.customers)
        rows = self.directory.users() if name == "customer_id" else self.directory.customers()
        answer.roster = {row[name] for row in rows} - {None}
        return {"data": rows, "metadata": {"total_items": len(rows)}}

    def _key(self, params: dict[str, Any]) -> Key:
        token = params["access_token"]
        return self._sessions.get(token) or next(key for key in KEYS if key.token == token)

    def _log_in(self, params: dict[str, Any]) -> dict[str, Any]:
        token = f"session-{len(self._sessions) + 1}"
        self._sessions[token] = next(key for key in KEYS if key.login == params["login"])
        return {"data": {"access_token": token}, "metadata": {}}

    # -- numbers

    def _numbers(self, params: dict[str, Any], answer: Answer) -> dict[str, Any]:
        if self.world.role == "agent" and params.get("user_id") is None:
            raise Refusal(*USER_MISSING, field="user_id")
        customer = self.directory.customer(params.get("user_id"))
        answer.account_id = customer.id
        answer.viewer = viewer = Viewer(self._key(params), params.get("user_id"))
        self._let_in(customer, viewer, answer)
        where = params.get("filter")
        if where is not None and not self.filter_known:
            raise Refusal(-32602, "unexpected_parameters", field="filter")
        if where is not None and self.swarm.strikes("filter_prohibited"):
            raise Refusal(-32602, "filter_prohibited", field="id")
        answer.heard = heard = self._heard(customer, viewer, params)
        data: Any = [s.record for s in heard.sent]
        total = heard.total
        if self.swarm.strikes("not_a_list"):
            data = self.rng.choice(({"rows": data}, None, 5))
            heard.response_faults.append("not_a_list")
            heard.sent, heard.total = [], None  # its content cannot be read
        return {"data": data, "metadata": {"total_items": total}}

    def _let_in(self, customer: Customer, viewer: Viewer, answer: Answer) -> None:
        """Refuse the numbers of a locked customer, and a user without the right to numbers."""
        if customer.status != ACTIVE:
            answer.struck.add("locked")
            refuse_locked(customer)
        if viewer.user in customer.refused:
            if customer.refused.issuperset(self.directory.users_of(customer)):
                answer.struck.add("user_refused")  # otherwise the next user is used
            raise Refusal(*FORBIDDEN)

    def _heard(self, customer: Customer, viewer: Viewer, params: dict[str, Any]) -> Heard:
        where, first, limit = params.get("filter"), params["offset"], params["limit"]
        visible = customer.visible_to(viewer)
        matching = [n for n in visible if matches(where, n)]
        asked_for = frozenset(matching)
        ignored = [
            name
            for name, opening in (("filter_ignored", where is not None), ("offset_ignored", first > 0))
            if opening and self.swarm.strikes(name)
        ]
        if ignored:
            matching = matching if "filter_ignored" not in ignored else visible
            first = 0 if "offset_ignored" in ignored else first
        rows = matching[first : first + limit]
        sent = [Sent(n, customer.record(n, self.world.edition, self.rng)) for n in rows]
        draft = Draft(sent, len(matching), ignored)
        self._bend(draft, customer, limit)
        if self._cut is not None:
            cut_to(self._cut, draft)
        asked = frozenset(where["value"]) if where and where.get("operator") == "in" else None
        hidden = asked_for - {s.id for s in draft.sent} if draft.response_faults else frozenset()
        query = json.dumps([where, params["offset"]])
        whole = where is None and params["offset"] == 0
        return Heard(
            self.world.tick, query, asked, whole, draft.sent, draft.total, draft.response_faults, hidden, limit
        )

    def _bend(self, draft: Draft, customer: Customer, limit: int) -> None:
        liar = Liar(self.rng, limit, lambda: self._record_of_another(customer))
        for name in ROW_FAULTS:
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
