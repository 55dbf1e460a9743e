"""Forgeries of an archive by a hand that knows its format: whatever it changes, all digests and seals agree again.

Only a head that was kept elsewhere, and the digests of records, can tell. Uses the standard library alone, as anybody
with the page docs/archive.md could.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LISTING = "get.virtual_numbers"
PERSONAL = ("virtual_phone_number", "redirection_phone_number", "comment", "name")
HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
Line = dict[str, Any]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def spelled(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Forged:
    """An archive's folder, read and written file by file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def runs(self) -> list[int]:
        return sorted(int(p.stem) for p in (self.folder / "runs").glob("*.jsonl"))

    def manifest(self, run_id: int) -> Path:
        return self.folder / "runs" / f"{run_id}.jsonl"

    def lines(self, run_id: int) -> list[Line]:
        return [json.loads(line) for line in self.manifest(run_id).read_bytes().splitlines()]

    def write(self, run_id: int, lines: list[Line]) -> None:
        """A manifest with its seal, and the runs that follow with what they say of it."""
        text = b"".join(spelled(line) + b"\n" for line in lines if line["kind"] != "seal")
        seal = {"kind": "seal", "lines": text.count(b"\n"), "sha256": sha256(text)}
        self.manifest(run_id).write_bytes(text + spelled(seal) + b"\n")
        for later in self.runs():
            self._follow(later, run_id)

    def _follow(self, later: int, run_id: int) -> None:
        lines = self.lines(later)
        content = self.manifest(run_id).read_bytes()
        named = [before for before in lines[0].get("previous", []) if before["run_id"] == run_id]
        if later > run_id and named:
            named[0].update(bytes=len(content), sha256=sha256(content))
            self.write(later, lines)

    def object(self, digest: str) -> Path:
        return self.folder / "objects" / digest[:2] / f"{digest[2:]}.gz"

    def body(self, digest: str) -> bytes:
        return gzip.decompress(self.object(digest).read_bytes())

    def put(self, body: bytes) -> str:
        path = self.object(sha256(body))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(HEADER + gzip.compress(body, mtime=0)[10:])
        return path.parent.name + path.stem

    def record(self, path: Path, record: Any) -> None:
        path.parent.mkdir(exist_ok=True)
        text = spelled(record)
        path.write_bytes(b'{"record":%b,"sha256":"%b"}\n' % (text, sha256(text).encode()))

    def erasure(self, account: int, number: int, responses: list[Line]) -> int:
        """One more record of an erasure; its number."""
        paths = sorted((self.folder / "erasures").glob("*.json"), key=lambda p: int(p.stem))
        count = len(paths) + 1
        record = {
            "account_id": account,
            "erased_at": "2026-01-20T06:00:00Z",
            "number": count,
            "previous": sha256(paths[-1].read_bytes()) if paths else None,
            "responses": responses,
            "virtual_number_id": number,
        }
        self.record(self.folder / "erasures" / f"{count}.json", record)
        return count

    def tombstone(self, run_id: int, removed: list[str]) -> None:
        record = {"pruned_at": "2026-01-20T06:00:00Z", "removed": sorted(removed), "run_id": run_id}
        self.record(self.folder / "runs" / f"{run_id}.pruned.json", record)


@dataclass(frozen=True)
class Page:
    """A response of the listing: its line, its records, and where they stand."""

    line: Line
    answer: Line
    body: bytes

    @property
    def records(self) -> list[Line]:
        data: list[Line] = self.answer["result"]["data"]
        return data

    def digests(self) -> list[str]:
        """Of the records as they were sent; the sandbox writes without white space."""
        return [sha256(text) for text in _texts(self.body)]


def _texts(body: bytes) -> list[bytes]:
    text = body.decode()
    at, out, decoder = text.index('"data":[') + len('"data":['), list[bytes](), json.JSONDecoder()
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        out.append(text[at:end].encode())
        at = end + (text[end] == ",")
    return out


class ArchiveForger:
    """Draws forgeries; each says the words of which one has to be told."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self._archive, self._dice = Forged(folder), dice
        self._ways: list[Callable[[], set[str]]] = [
            self.rewrite_line, self.change_type, self.drop_line, self.drop_account, self.swap_lines, self.rewrite_page,
            self.erase_other, self.erase_more, self.erase_nothing, self.erase_elsewhere, self.erase_unnamed,
            self.cut_tail, self.cut_tail_under_tombstones, self.tombstone_of_newest, self.tombstone_out_of_turn,
            self.tombstone_of_nothing, self.climb,
        ]  # fmt: skip

    def forge(self) -> tuple[str, set[str]]:
        way = self._dice.choice(self._ways)
        return way.__name__, way()

    def _run(self) -> int:
        return self._dice.choice(self._archive.runs())

    def _page(self) -> Page:
        lines = [line for line in self._archive.lines(self._run()) if line.get("method") == LISTING]
        line = self._dice.choice(lines)
        body = self._archive.body(line["sha256"])
        return Page(line, json.loads(body), body)

    def _rewritten(self, change: Callable[[list[Line]], None]) -> set[str]:
        run_id = self._run()
        lines = self._archive.lines(run_id)
        change(lines)
        self._archive.write(run_id, lines)
        return {"head ", str(run_id)}

    # -- lines

    def rewrite_line(self) -> set[str]:
        """Another value in a line that is no response's."""

        def change(lines: list[Line]) -> None:
            line = self._dice.choice([one for one in lines if one["kind"] in ("run", "publishes", "end", "account")])
            key = self._dice.choice(
                sorted(k for k, v in line.items() if k not in ("kind", "format", "run_id", "previous"))
            )
            line[key] = _other(line[key], self._dice)

        return self._rewritten(change)

    def change_type(self) -> set[str]:
        """A number as text, null as an empty text, a text as a number."""

        def change(lines: list[Line]) -> None:
            line = self._dice.choice([one for one in lines if one["kind"] != "seal"])
            key = self._dice.choice(sorted(k for k in line if k != "kind"))
            line[key] = "" if line[key] is None else str(line[key]) if not isinstance(line[key], str) else 7

        return self._rewritten(change)

    def drop_line(self) -> set[str]:
        """A line less."""
        return self._rewritten(lambda lines: lines.pop(self._dice.randrange(1, len(lines))) and None)

    def drop_account(self) -> set[str]:
        """All lines of an account, in every run."""
        account = self._dice.choice(
            [i["account_id"] for i in self._archive.lines(self._run()) if i["kind"] == "account"]
        )
        for run_id in self._archive.runs():
            self._archive.write(run_id, [i for i in self._archive.lines(run_id) if i.get("account_id") != account])
        return {"head "}

    def swap_lines(self) -> set[str]:
        """The answers of two requests, exchanged."""

        def change(lines: list[Line]) -> None:
            one, two = self._dice.sample([i for i in lines if i["kind"] == "response"], 2)
            one["sha256"], two["sha256"] = two["sha256"], one["sha256"]

        return self._rewritten(change)

    def rewrite_page(self) -> set[str]:
        """Another answer, in the manifest too."""
        page = self._page()
        self._dice.choice(page.records)["status"] = "manual_lock"
        new = spelled(page.answer)
        digest = self._archive.put(new)
        for run_id in self._archive.runs():
            lines = self._archive.lines(run_id)
            for line in lines:
                if line.get("sha256") == page.line["sha256"]:
                    line.update(sha256=digest, size=len(new))
                    line.pop("records", None)
            self._archive.write(run_id, lines)
        self._archive.object(page.line["sha256"]).unlink()
        return {"head "}

    def climb(self) -> set[str]:
        """A digest that leads out of the archive."""

        def change(lines: list[Line]) -> None:
            self._dice.choice([i for i in lines if i["kind"] == "response"])["sha256"] = "../" * 20 + "etc/passwd"

        return self._rewritten(change)

    # -- erasures

    def _replace(self, page: Page, account: int, number: int, places: list[int], body: bytes) -> set[str]:
        now, digests = self._archive.put(body), page.digests()
        former = page.line["sha256"]
        records = [[place, digests[place]] for place in places]
        count = self._archive.erasure(account, number, [{"former": former, "now": now, "records": records}])
        if now != former:
            self._archive.object(former).unlink()
        return {former[:16], f"erasure {count}"}

    def _emptied(self, page: Page, place: int) -> int:
        record = page.records[place]
        for name in PERSONAL:
            if name in record:
                record[name] = None
        return int(record["id"])

    def erase_other(self) -> set[str]:
        """The named number is emptied, and another one is changed with it."""
        page = self._page()
        place, other = self._dice.sample(range(len(page.records)), 2)
        number = self._emptied(page, place)
        record = page.records[other]
        record[self._dice.choice(["status", "comment", "name", "virtual_phone_number"])] = "forged"
        return self._replace(page, page.line["account_id"], number, [place], spelled_as_sent(page.answer))

    def erase_more(self) -> set[str]:
        """The record of another number is said to be the named one's; or a record is taken out."""
        page = self._page()
        place, other = self._dice.sample(range(len(page.records)), 2)
        number = self._emptied(page, place)
        if self._dice.random() < 0.5:
            self._emptied(page, other)
            page.records[other]["status"] = "manual_lock"
        else:
            del page.records[other]
        return self._replace(page, page.line["account_id"], number, [place, other], spelled_as_sent(page.answer))

    def erase_nothing(self) -> set[str]:
        """A record of an erasure, and the content still there."""
        page = self._page()
        place = self._dice.randrange(len(page.records))
        record = page.records[place]
        record["comment"] = "still here"
        return self._replace(page, page.line["account_id"], record["id"], [place], spelled_as_sent(page.answer))

    def erase_elsewhere(self) -> set[str]:
        """An erasure of another account."""
        page = self._page()
        place = self._dice.randrange(len(page.records))
        number = self._emptied(page, place)
        return self._replace(page, page.line["account_id"] + 1, number, [place], spelled_as_sent(page.answer))

    def erase_unnamed(self) -> set[str]:
        """A record of an erasure from a response that no run names."""
        former = sha256(self._dice.randbytes(8))
        now = self._archive.put(b'{"erased":true}')
        count = self._archive.erasure(1, 1, [{"former": former, "now": now, "records": []}])
        return {former[:16], f"erasure {count}"}

    # -- tombstones, and what is cut off

    def _digests(self, run_id: int) -> list[str]:
        return [line["sha256"] for line in self._archive.lines(run_id) if line.get("sha256") and "method" in line]

    def cut_tail(self) -> set[str]:
        """The newest runs taken away, with their responses."""
        for run_id in self._archive.runs()[-self._dice.randint(1, 3) :]:
            self._lose(run_id)
            self._archive.manifest(run_id).unlink()
        return {"head "}

    def _lose(self, run_id: int) -> list[str]:
        digests = self._digests(run_id)
        for digest in digests:
            self._archive.object(digest).unlink(missing_ok=True)
        return digests

    def cut_tail_under_tombstones(self) -> set[str]:
        """The same, with a tombstone in the place of each."""
        names = set[str]()
        for run_id in self._archive.runs()[-self._dice.randint(1, 3) :]:
            self._archive.tombstone(run_id, self._lose(run_id))
            self._archive.manifest(run_id).unlink()
            names.add(str(run_id))
        return names

    def tombstone_of_newest(self) -> set[str]:
        """The newest run's responses, as if they had been pruned."""
        newest = self._archive.runs()[-1]
        self._archive.tombstone(newest, self._lose(newest))
        return {str(newest)}

    def tombstone_out_of_turn(self) -> set[str]:
        """The responses of a run that is not the oldest."""
        run_id = self._dice.choice(self._archive.runs()[1:-1])
        self._archive.tombstone(run_id, self._lose(run_id))
        return {str(run_id)}

    def tombstone_of_nothing(self) -> set[str]:
        """A tombstone of a run that never was, or of responses that the run does not name."""
        run_id = self._dice.choice([7, self._archive.runs()[0]])
        self._archive.tombstone(run_id, [sha256(b"none")])
        return {f"run {run_id}"}


def spelled_as_sent(answer: Line) -> bytes:
    """The answer with its members in the order in which the sandbox sends them."""
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()


def _other(value: Any, dice: random.Random) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return value + dice.choice([-1, 1, 7])
    if isinstance(value, str):
        return (
            f"{value[:-1]}{'7' if value[-1:] != '7' else '8'}"
            if not value.endswith("Z")
            else f"{value[:-2]}{(int(value[-2]) + 1) % 10}Z"
        )
    return value[:-1] if isinstance(value, list) and value else {}
