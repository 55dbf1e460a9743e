"""What both floors share: as little as it takes to read the source and to know what did not change.

A floor is how fast the work could go if nothing were promised: pages by offset, no proof that they are whole or that a
number is gone, one account, no errors, no runs. It is written to be fast and right, and to be compared with. Three
levels spare it work: a page's digest, each record's digest, and the comparison in the database.
"""

from __future__ import annotations

import queue
import threading
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
import xxhash

LIMIT = 10_000
Rows = dict[str, list[tuple[Any, ...]]]

KEYS = {
    "virtual_numbers": ("id",),
    "sites": ("site_id",),
    "campaigns": ("campaign_id",),
    "site_blocks": ("site_block_id",),
    "scenarios": ("scenario_id",),
    "number_campaigns": ("id", "campaign_id"),
    "number_site_blocks": ("id", "campaign_id", "site_block_id"),
    "number_scenarios": ("id", "scenario_id", "call_processing_rule_id"),
}
VALUES = {
    "virtual_numbers": (
        "child_customer_id", "virtual_phone_number", "redirection_phone_number", "activation_date", "status",
        "category", "type", "comment", "name",
    ),
    "sites": ("site_domain_name",),
    "campaigns": ("campaign_name", "site_id"),
    "site_blocks": ("site_block_name", "site_id"),
    "scenarios": ("scenario_name",),
    "number_campaigns": (),
    "number_site_blocks": ("is_tracking",),
    "number_scenarios": ("is_active",),
}  # fmt: skip
OWNED = ("virtual_numbers", "number_campaigns", "number_site_blocks", "number_scenarios")
"""Tables whose rows belong to one number; the others hold what numbers refer to."""
REFERRED = {"campaigns": "number_campaigns", "site_blocks": "number_site_blocks", "scenarios": "number_scenarios",
            "sites": "campaigns"}  # fmt: skip
"""Where a referred table's key must still occur, in an order in which dropping one cannot orphan one before it."""


class Block(msgspec.Struct, gc=False):
    site_block_id: int
    site_block_name: str
    is_tracking: bool | None = None


class Campaign(msgspec.Struct, gc=False):
    campaign_id: int
    campaign_name: str
    site_id: int
    site_domain_name: str
    site_blocks: list[Block]


class Scenario(msgspec.Struct, gc=False):
    scenario_id: int
    scenario_name: str
    call_processing_rule_id: int = 0
    is_active: bool | None = None


class Number(msgspec.Struct, gc=False):
    id: int
    virtual_phone_number: str
    status: str
    category: str
    type: str
    campaigns: list[Campaign]
    scenarios: list[Scenario]
    child_customer_id: int | None = None
    redirection_phone_number: str | None = None
    activation_date: str | None = None
    comment: str | None = None
    name: str | None = None


class Metadata(msgspec.Struct, gc=False):
    total_items: int


class Result(msgspec.Struct, gc=False):
    data: list[msgspec.Raw]
    metadata: Metadata


class Reply(msgspec.Struct, gc=False):
    result: Result


split = msgspec.json.Decoder(Reply).decode
decode = msgspec.json.Decoder(list[Number]).decode
digest = xxhash.xxh3_128_digest


@dataclass
class Page:
    """What is kept of a page: its digest, and for each record the number's id and the record's digest."""

    offset: int
    digest: bytes
    ids: bytes
    digests: bytes


@dataclass
class Seen:
    """What reading found out: the pages to keep, the last page's offset, which numbers changed or are gone."""

    last: int = 0
    pages: list[Page] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)


def bodies(url: str, token: str) -> Iterator[tuple[int, bytes]]:
    """Each page's offset and bytes; the next one is on its way while this one is worked on."""
    with httpx.Client(timeout=120) as client:

        def fetch(offset: int) -> bytes:
            params = {"access_token": token, "limit": LIMIT, "offset": offset}
            asked = {"jsonrpc": "2.0", "id": offset + 1, "method": "get.virtual_numbers", "params": params}
            return client.post(url, json=asked).raise_for_status().content

        first = fetch(0)
        total = msgspec.json.decode(first[first.rfind(b'{"total_items"') :].split(b"}")[0] + b"}")["total_items"]
        ahead: queue.Queue[tuple[int, bytes]] = queue.Queue(1)

        def run() -> None:
            for offset in range(LIMIT, total, LIMIT):
                ahead.put((offset, fetch(offset)))

        threading.Thread(target=run, daemon=True).start()
        yield 0, first
        del first
        for _ in range(LIMIT, total, LIMIT):
            yield ahead.get()


def read(url: str, token: str, kept: dict[int, Page], take: Callable[[list[Number]], None]) -> Seen:
    """Read the source; `take` gets the numbers whose records are not as they were."""
    seen, present = Seen(), set[int]()
    known = {
        page.digests[at : at + 16]: number
        for page in kept.values()
        for at, number in zip(range(0, len(page.digests), 16), array("q", page.ids), strict=True)
    } if kept else {}  # fmt: skip
    for offset, body in bodies(url, token):
        seen.last = offset
        whole = digest(memoryview(body)[body.find(b'"data"') :])
        page = kept.get(offset)
        if page is not None and page.digest == whole:
            present.update(array("q", page.ids))
            continue
        ids = array("q")
        records = split(body).result.data
        digests = [digest(record) for record in records]
        new = [record for record, mark in zip(records, digests, strict=True) if mark not in known]
        numbers = decode(b"[" + b",".join(new) + b"]") if new else []
        fresh = iter(numbers)
        ids.extend(known.get(mark) or next(fresh).id for mark in digests)
        take([n for n in numbers if n.id not in seen.changed])
        seen.changed.update(n.id for n in numbers)
        present.update(ids)
        seen.pages.append(Page(offset, whole, ids.tobytes(), b"".join(digests)))
    seen.gone = {i for page in kept.values() for i in array("q", page.ids)} - present
    return seen


class Rowmaker:
    """Turns numbers into rows; what numbers refer to is collected and given at the end."""

    def __init__(self) -> None:
        self._campaigns: dict[int, Campaign] = {}
        self._blocks: dict[int, tuple[int, str, int]] = {}
        self._scenarios: dict[int, str] = {}

    def rows(self, numbers: list[Number]) -> Rows:
        """The rows that belong to these numbers."""
        own, in_campaigns, in_blocks, in_scenarios = [], [], [], []
        for n in numbers:
            i = n.id
            own.append((i, n.child_customer_id, n.virtual_phone_number, n.redirection_phone_number, n.activation_date,
                        n.status, n.category, n.type, n.comment, n.name))  # fmt: skip
            for c in n.campaigns:
                k = c.campaign_id
                self._campaigns[k] = c
                in_campaigns.append((i, k))
                for b in c.site_blocks:
                    self._blocks[b.site_block_id] = (b.site_block_id, b.site_block_name, c.site_id)
                    in_blocks.append((i, k, b.site_block_id, b.is_tracking))
            for s in n.scenarios:
                self._scenarios[s.scenario_id] = s.scenario_name
                in_scenarios.append((i, s.scenario_id, s.call_processing_rule_id, s.is_active))
        return dict(zip(OWNED, (own, in_campaigns, in_blocks, in_scenarios), strict=True))

    def shared(self) -> Rows:
        """The rows of all that numbers referred to."""
        campaigns = self._campaigns.values()
        return {
            "sites": list({c.site_id: c.site_domain_name for c in campaigns}.items()),
            "campaigns": [(c.campaign_id, c.campaign_name, c.site_id) for c in campaigns],
            "site_blocks": list(self._blocks.values()),
            "scenarios": list(self._scenarios.items()),
        }


def columns(table: str) -> str:
    """The table's own columns, for SQL."""
    return ", ".join((*KEYS[table], *VALUES[table]))


def joined(table: str, one: str, other: str) -> str:
    """The condition that two rows have one key."""
    return " and ".join(f"{one}.{c} = {other}.{c}" for c in KEYS[table])
