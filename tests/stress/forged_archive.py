"""Archive folder, read and rewritten from its description alone (docs/archive.md), with the standard library.

After each write all digests and seals agree again.
"""

from __future__ import annotations

import gzip
import hashlib
import json
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
        """Write a manifest with its seal, and correct the seals of the runs that follow."""
        text = b"".join(spelled(line) + b"\n" for line in lines if line["kind"] != "seal")
        seal = {"kind": "seal", "lines": text.count(b"\n"), "sha256": sha256(text)}
        self.manifest(run_id).write_bytes(text + spelled(seal) + b"\n")
        for later in self.runs():
            self._follow(later, run_id)

    def _follow(self, later: int, run_id: int) -> None:
        lines = self.lines(later)
        content = self.manifest(run_id).read_bytes()
        named = [b for b in lines[0].get("previous", []) if isinstance(b, dict) and b["run_id"] == run_id]
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
        """Add a record of an erasure. Returns its number."""
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
    """A response of the listing: its line, its records, and their positions."""

    line: Line
    answer: Line
    body: bytes

    @property
    def records(self) -> list[Line]:
        data: list[Line] = self.answer["result"]["data"]
        return data

    def digests(self) -> list[str]:
        """The digests of the records as sent; the sandbox writes no white space."""
        return [sha256(text) for text in self.texts()]

    def texts(self) -> list[bytes]:
        """The texts of the records as sent."""
        return _texts(self.body)


def _texts(body: bytes) -> list[bytes]:
    text = body.decode()
    at, out, decoder = text.index('"data":[') + len('"data":['), list[bytes](), json.JSONDecoder()
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        out.append(text[at:end].encode())
        at = end + (text[end] == ",")
    return out


def spelled_as_sent(answer: Line) -> bytes:
    """The answer with its members in the order of the sandbox."""
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()
