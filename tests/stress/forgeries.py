"""Forgeries of an archive by an author who knows its format: after each one all digests and seals agree again.

Only a head that was kept elsewhere, and the digests of records, reveal them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.stress.forged_archive import LISTING, PERSONAL, Forged, Line, Page, sha256, spelled, spelled_as_sent


class ArchiveForger:
    """Draws forgeries. Each returns words; the report of `verify` must contain one of them."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self._archive, self._dice = Forged(folder), dice
        self._ways: list[Callable[[], set[str]]] = [
            self.rewrite_line, self.change_type, self.drop_line, self.drop_account, self.swap_lines, self.rewrite_page,
            self.erase_other, self.erase_more, self.erase_nothing, self.erase_elsewhere, self.erase_unnamed,
            self.cut_tail, self.cut_tail_under_tombstones, self.tombstone_of_newest, self.tombstone_out_of_turn,
            self.tombstone_of_nothing, self.climb, self.edit_erasure, self.drop_erasure,
        ]  # fmt: skip
        self._unproved = [self.erase_and_edit, self.erase_record, self.erase_rest, self.prune]

    @property
    def ways(self) -> list[Callable[[], set[str]]]:
        """Forgeries that must be found."""
        return self._ways

    def forge(self) -> tuple[str, set[str]]:
        """Make a forgery that must be found."""
        way = self._dice.choice(self._ways)
        return way.__name__, way()

    def forge_unproved(self) -> tuple[str, set[str]]:
        """Make a forgery that docs/archive.md lists as not proved: a note must report it."""
        way = self._dice.choice(self._unproved)
        return way.__name__, way()

    def _run(self) -> int:
        return self._dice.choice(self._kept())

    def _kept(self) -> list[int]:
        """The runs that were not pruned."""
        runs = self._archive.folder / "runs"
        return [run_id for run_id in self._archive.runs() if not (runs / f"{run_id}.pruned.json").exists()]

    def _page(self, records: int = 1) -> Page:
        """A listed page with at least so many records."""
        lines = [line for i in self._kept() for line in self._archive.lines(i) if line.get("method") == LISTING]
        there = [line for line in lines if self._archive.object(line["sha256"]).exists()]
        pages = [Page(line, json.loads(body := self._archive.body(line["sha256"])), body) for line in there]
        return self._dice.choice([page for page in pages if len(page.records) >= records])

    def _rewritten(self, change: Callable[[list[Line]], object]) -> set[str]:
        run_id = self._run()
        lines = self._archive.lines(run_id)
        change(lines)
        self._archive.write(run_id, lines)
        return {"head ", str(run_id)}

    # -- lines

    def rewrite_line(self) -> set[str]:
        """Put another value into a line that is not a response's."""

        def change(lines: list[Line]) -> None:
            line = self._dice.choice([one for one in lines if one["kind"] in ("run", "publishes", "end", "account")])
            key = self._dice.choice(
                sorted(k for k, v in line.items() if k not in ("kind", "format", "run_id", "previous"))
            )
            line[key] = _other(line[key], self._dice)

        return self._rewritten(change)

    def change_type(self) -> set[str]:
        """Write a number as text, null as an empty text, or a text as a number."""

        def change(lines: list[Line]) -> None:
            line = self._dice.choice([one for one in lines if one["kind"] != "seal"])
            key = self._dice.choice(sorted(k for k in line if k != "kind"))
            line[key] = "" if line[key] is None else str(line[key]) if not isinstance(line[key], str) else 7

        return self._rewritten(change)

    def drop_line(self) -> set[str]:
        """Remove a line."""
        return self._rewritten(lambda lines: lines.pop(self._dice.randrange(1, len(lines))))

    def drop_account(self) -> set[str]:
        """Remove all lines of an account, in every run."""
        account = self._dice.choice(
            [i["account_id"] for i in self._archive.lines(self._run()) if i["kind"] == "account"]
        )
        for run_id in self._archive.runs():
            self._archive.write(run_id, [i for i in self._archive.lines(run_id) if i.get("account_id") != account])
        return {"head "}

    def swap_lines(self) -> set[str]:
        """Exchange the answers of two requests."""

        def change(lines: list[Line]) -> None:
            one, two = self._dice.sample([i for i in lines if i["kind"] == "response"], 2)
            one["sha256"], two["sha256"] = two["sha256"], one["sha256"]

        return self._rewritten(change)

    def rewrite_page(self) -> set[str]:
        """Replace an answer, in the manifest too."""
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
        """Write a digest that leads to a path outside the archive."""

        def change(lines: list[Line]) -> None:
            self._dice.choice([i for i in lines if i["kind"] == "response"])["sha256"] = "../" * 20 + "etc/passwd"

        return self._rewritten(change)

    # -- erasures

    def _replace(self, page: Page, account: int, number: int, places: list[int], body: bytes, **more: str) -> set[str]:
        now, digests = self._archive.put(body), page.digests()
        former = page.line["sha256"]
        records = [[place, digests[place]] for place in sorted(places)]
        count = self._archive.erasure(account, number, [{"former": former, "now": now, "records": records, **more}])
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
        """Empty the named number, and change another one with it."""
        page = self._page(records=2)
        place, other = self._dice.sample(range(len(page.records)), 2)
        number = self._emptied(page, place)
        record = page.records[other]
        record[self._dice.choice(["status", "comment", "name", "virtual_phone_number"])] = "forged"
        return self._replace(page, page.line["account_id"], number, [place], spelled_as_sent(page.answer))

    def erase_more(self) -> set[str]:
        """Erase another number's record as if it were the named one's, or remove a record completely."""
        page = self._page(records=2)
        place, other = self._dice.sample(range(len(page.records)), 2)
        number = self._emptied(page, place)
        if self._dice.random() < 0.5:
            self._emptied(page, other)
            page.records[other]["status"] = "manual_lock"
        else:
            del page.records[other]
        return self._replace(page, page.line["account_id"], number, [place, other], spelled_as_sent(page.answer))

    def erase_nothing(self) -> set[str]:
        """Add a record of an erasure while the content still exists."""
        page = self._page()
        place = self._dice.randrange(len(page.records))
        record = page.records[place]
        record["comment"] = "still here"
        return self._replace(page, page.line["account_id"], record["id"], [place], spelled_as_sent(page.answer))

    def erase_elsewhere(self) -> set[str]:
        """Add an erasure of another account."""
        page = self._page()
        place = self._dice.randrange(len(page.records))
        number = self._emptied(page, place)
        return self._replace(page, page.line["account_id"] + 1, number, [place], spelled_as_sent(page.answer))

    def erase_unnamed(self) -> set[str]:
        """Add a record of an erasure from a response that no run names."""
        former = sha256(self._dice.randbytes(8))
        now = self._archive.put(b'{"erased":true}')
        count = self._archive.erasure(1, 1, [{"former": former, "now": now, "records": []}])
        return {former[:16], f"erasure {count}"}

    def erase_and_edit(self) -> set[str]:
        """Erase as vnsync does, and change the status in the record that is emptied."""
        page = self._page()
        place = self._dice.randrange(len(page.records))
        number = self._emptied(page, place)
        page.records[place]["status"] = "manual_lock"
        return self._replace(page, page.line["account_id"], number, [place], spelled_as_sent(page.answer))

    def erase_record(self) -> set[str]:
        """Empty another number's record, as if it were of the erased number."""
        page = self._page(records=2)
        place, other = self._dice.sample(range(len(page.records)), 2)
        number = self._emptied(page, place)
        page.records[other] = {"erased": True, "id": page.records[other]["id"]}
        return self._replace(page, page.line["account_id"], number, [place, other], spelled_as_sent(page.answer))

    def erase_rest(self) -> set[str]:
        """Empty the bytes around the records, as if they were of the erased number."""
        page = self._page()
        texts = page.texts()
        rest = page.body.replace(b",".join(texts), b"," * (len(texts) - 1))
        number, more = page.records[0]["id"], {"rest": sha256(rest)}
        body = spelled_as_sent({"erased": True, "result": {"data": page.records}})
        emptied = spelled_as_sent({"erased": True, "id": number})
        return self._replace(page, page.line["account_id"], number, [0], body.replace(texts[0], emptied), **more)

    def edit_erasure(self) -> set[str]:
        """Change a record of an erasure."""
        path = self._archive.folder / "erasures" / "1.json"
        record = json.loads(path.read_bytes())["record"]
        key = self._dice.choice(["account_id", "erased_at", "number", "previous", "responses", "virtual_number_id"])
        record[key] = _other(record[key], self._dice)
        self._archive.record(path, record)
        return {"erasure 1", "erasures/1.json"}

    def drop_erasure(self) -> set[str]:
        """Remove a record of an erasure."""
        (self._archive.folder / "erasures" / "1.json").unlink()
        return {"erasure 1"}

    # -- tombstones and removed runs

    def _digests(self, run_id: int) -> list[str]:
        return [line["sha256"] for line in self._archive.lines(run_id) if line.get("sha256") and "method" in line]

    def cut_tail(self) -> set[str]:
        """Remove the newest runs with their responses."""
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
        """Remove the newest runs, with a tombstone in the place of each."""
        names = set[str]()
        for run_id in self._archive.runs()[-self._dice.randint(1, 3) :]:
            self._archive.tombstone(run_id, self._lose(run_id))
            self._archive.manifest(run_id).unlink()
            names.add(str(run_id))
        return names

    def tombstone_of_newest(self) -> set[str]:
        """Remove the newest run's responses, as if they had been pruned."""
        newest = self._archive.runs()[-1]
        self._archive.tombstone(newest, self._lose(newest))
        return {str(newest)}

    def tombstone_out_of_turn(self) -> set[str]:
        """Prune a run that is not the oldest."""
        run_id = self._dice.choice(self._kept()[1:-1])
        self._archive.tombstone(run_id, self._lose(run_id))
        return {str(run_id)}

    def tombstone_of_nothing(self) -> set[str]:
        """Add a tombstone of a run that does not exist, or of responses that the run does not name."""
        run_id = self._dice.choice([7, self._archive.runs()[0]])
        self._archive.tombstone(run_id, [sha256(b"none")])
        return {f"run {run_id}"}

    def prune(self) -> set[str]:
        """Prune the oldest run with responses, as vnsync does."""
        run_id = self._kept()[0]
        now = {r["former"]: r["now"] for e in self._erasures() for r in e["responses"]}
        digests = self._digests(run_id)
        for digest in digests:
            self._archive.object(now.get(digest, digest)).unlink(missing_ok=True)
        self._archive.tombstone(run_id, digests)
        return {str(run_id)}

    def _erasures(self) -> list[Line]:
        return [json.loads(p.read_bytes())["record"] for p in (self._archive.folder / "erasures").glob("*.json")]


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
