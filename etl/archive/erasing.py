"""Taking one number's personal content out of archived responses, so that it shows and the rest stays verifiable."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from etl.archive import lines
from etl.archive.checking import refuse_damaged
from etl.archive.erasures import Erasure, read_erasures, write_erasure
from etl.archive.layout import Layout, existing, local_trouble, write_whole
from etl.archive.manifest import Manifest, read_bytes, read_manifest
from etl.archive.objects import Objects
from etl.errors import TryLater, Usage

LISTING = "get.virtual_numbers"
KEPT = frozenset({"id", "child_customer_id", "activation_date", "status", "category", "type", "campaigns", "scenarios"})
"""Fields that say nothing of a person. Phone numbers, comment, name and whatever is unknown become null."""
UNREADABLE = b'{"erased":true}'
"""Stands in the place of an answer that names the number and cannot be taken apart."""
STILL_ON = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class ErasedResponses:
    """What was erased, or would be: from how many runs, and how many responses. `earlier`: runs erased from before."""

    runs: int
    responses: int
    earlier: int = 0


class _Record(msgspec.Struct):
    id: int


class _Result(msgspec.Struct):
    data: list[msgspec.Raw]


class _Envelope(msgspec.Struct):
    result: _Result


_envelope = msgspec.json.Decoder(_Envelope)
_record = msgspec.json.Decoder(_Record)


def erase_number(
    folder: Path, account_id: int, number_id: int, *, now: datetime, rehearsal: bool = False
) -> ErasedResponses:
    """Erase the number's personal content from every response; `rehearsal`: only count.

    The changed response is a new object, the manifest names it with the digest of the old one, and a record in
    `erasures/` says so. Raises `IntegrityBroken` when the archive is not whole, `Usage` for a number that is not in it,
    `TryLater` while a run may be on. May be repeated after a crash.
    """
    layout = existing(folder)
    refuse_damaged(folder)
    erasing = _Erasing(layout, account_id, number_id, now)
    manifests = [read_manifest(layout, run_id) for run_id in layout.run_ids()]
    if not rehearsal:
        _refuse_running(manifests, now)
    found = [(m, replaced) for m in manifests if (replaced := erasing.replacements(m))]
    earlier = erasing.earlier()
    if not found and not earlier and not any(erasing.names_it(m) for m in manifests):
        raise Usage(
            f"the archive holds no number {number_id} of account {account_id}",
            remedy="See `vnsync history`, which tells the ids",
        )
    if not rehearsal:
        for manifest, replaced in found:
            erasing.rewrite(manifest, replaced, manifests)
        erasing.remove_old({old for _, replaced in found for old in replaced})
    responses = sum(len(replaced) for _, replaced in found)
    return ErasedResponses(runs=len(found), responses=responses, earlier=len(earlier))


def _refuse_running(manifests: list[Manifest], now: datetime) -> None:
    for manifest in manifests:
        if not manifest.sealed and now - manifest.run.started_at < STILL_ON:
            raise TryLater(
                f"run {manifest.run.run_id} has no seal in the archive: it is on, or was interrupted just now",
                remedy="Erase when it has ended; of a run that was interrupted, a day later",
            )


class _Erasing:
    """One number's erasure."""

    def __init__(self, layout: Layout, account_id: int, number_id: int, now: datetime) -> None:
        self._layout, self._objects = layout, Objects(layout)
        self._account_id, self._number_id, self._now = account_id, number_id, now

    def replacements(self, manifest: Manifest) -> dict[str, bytes]:
        """The responses of a run that hold personal content of the number, without it, by their digests."""
        out: dict[str, bytes] = {}
        for digest in self._listings(manifest):
            body = self._objects.get(digest)
            changed = without_personal_content(body, self._number_id)
            if changed != body:
                out[digest] = changed
        return out

    def _listings(self, manifest: Manifest) -> set[str]:
        """The responses of a run that may hold the number."""
        mine = (r for r in manifest.responses if r.method == LISTING and r.account_id in (None, self._account_id))
        return {r.sha256 for r in mine if r.sha256 is not None}

    def names_it(self, manifest: Manifest) -> bool:
        """Whether a response of the run has a record of the number, with content or without."""
        return any(_is_named(self._objects.get(digest), self._number_id) for digest in self._listings(manifest))

    def earlier(self) -> set[int]:
        """The runs that it was erased from before."""
        mine = (self._account_id, self._number_id)
        return {e.run_id for e in read_erasures(self._layout) if (e.account_id, e.virtual_number_id) == mine}

    def rewrite(self, manifest: Manifest, replaced: dict[str, bytes], manifests: list[Manifest]) -> None:
        """Put the new responses, the record of the erasure and the new manifest in place, in this order."""
        run_id = manifest.run.run_id
        before = read_bytes(self._layout, run_id)
        digests = {old: self._objects.put(body) for old, body in replaced.items()}
        sizes = {old: len(body) for old, body in replaced.items()}
        after = b"".join(_rewritten(before, manifest, digests, sizes))
        named = {m.run.previous.sha256 for m in manifests if m.run.previous and m.run.previous.run_id == run_id}
        earlier = {d for e in read_erasures(self._layout) if e.run_id == run_id for d in e.digests_before}
        erasure = Erasure(
            run_id=run_id,
            account_id=self._account_id,
            virtual_number_id=self._number_id,
            erased_at=self._now,
            replaced=digests,
            digests_before=sorted({hashlib.sha256(before).hexdigest(), *named, *earlier}),
            manifest_after=hashlib.sha256(after).hexdigest(),
        )
        write_erasure(self._layout, erasure)
        write_whole(self._layout.manifest(run_id), after)

    def remove_old(self, digests: set[str]) -> None:
        """Remove the responses as they were, when no run needs them any more."""
        needed = {d for run_id in self._layout.run_ids() for d in read_manifest(self._layout, run_id).digests}
        for digest in digests - needed:
            path = self._layout.object(digest)
            with local_trouble(path):
                path.unlink(missing_ok=True)


def _rewritten(before: bytes, manifest: Manifest, digests: dict[str, str], sizes: dict[str, int]) -> Iterator[bytes]:
    """The manifest's lines with the new digests, each other line as it was, and a new seal."""
    whole, digest = before[: before.rfind(b"\n") + 1], hashlib.sha256()
    for text, line in zip(whole.splitlines(keepends=True), manifest.lines, strict=True):
        if isinstance(line, lines.Seal):
            yield lines.encoded(lines.Seal(lines=line.lines, sha256=digest.hexdigest()))
            continue
        if isinstance(line, lines.Response) and line.sha256 in digests:
            old = line.sha256
            changed = {"sha256": digests[old], "size": sizes[old], "erased": [*line.erased, old]}
            text = lines.encoded(msgspec.structs.replace(line, **changed))
        digest.update(text)
        yield text


def without_personal_content(body: bytes, number_id: int) -> bytes:
    """An answer in which the number's records hold nothing personal; the same bytes where nothing is to be erased."""
    if not _may_name(body, number_id):
        return body
    try:
        raws = _envelope.decode(body).result.data
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body if b'"result"' not in body else _taken_apart(body, number_id)
    for raw in raws:
        if _is_of(raw, number_id):
            body = body.replace(bytes(raw), _emptied(bytes(raw)))
    return body


def _may_name(body: bytes, number_id: int) -> bool:
    """Whether an id of this number stands anywhere in an answer: a site or a rule may have it too."""
    return re.search(rb'"id"\s*:\s*%d(?![0-9])' % number_id, body) is not None


def _is_named(body: bytes, number_id: int) -> bool:
    """Whether an answer has a record of the number."""
    if not _may_name(body, number_id):
        return False
    try:
        return any(_is_of(raw, number_id) for raw in _envelope.decode(body).result.data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _taken_apart(body: bytes, number_id: int) -> bytes:
    """The slow way, for answers that only Python's own reader takes (half characters)."""
    try:
        answer = json.loads(body)
        records = answer["result"]["data"]
        emptied = [_without(r) if isinstance(r, dict) and r.get("id") == number_id else r for r in records]
    except (ValueError, KeyError, TypeError, RecursionError):
        return UNREADABLE
    answer["result"]["data"] = emptied
    return body if emptied == records else json.dumps(answer).encode()


def _is_of(raw: msgspec.Raw, number_id: int) -> bool:
    try:
        return _record.decode(raw).id == number_id
    except (msgspec.MsgspecError, RecursionError):
        return False


def _emptied(raw: bytes) -> bytes:
    """A record whose personal fields are null; the same bytes where they are already."""
    record: dict[str, Any] = json.loads(raw)
    emptied = _without(record)
    return raw if emptied == record else json.dumps(emptied).encode()


def _without(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value if name in KEPT else None for name, value in record.items()}
