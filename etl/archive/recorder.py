"""Recorder that writes a run into the archive while it runs; `sync --archive` passes it to the pipeline.

Each response is on the disk before the pipeline uses it. An account is committed only after all its responses are
durable. So the archive may have responses that were never published, but nothing is published without its responses.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from etl.archive import lines
from etl.archive.erasures import newest_mark
from etl.archive.layout import FORMAT, Layout, local_trouble, prepared, write_all, write_whole
from etl.archive.manifest import LARGEST, LONGEST_LINE
from etl.archive.objects import Objects
from etl.archive.order import named_by_next
from etl.archive.pieces import LISTING, cut
from etl.domain.events import Notice
from etl.domain.ports import Report
from etl.domain.recorder import Beginning, Exchange, Publication
from etl.domain.runs import AccountResult, RunResult
from etl.errors import LocalTrouble, VnsyncError


class Recorder:
    """Recorder of one run into the archive at `folder`, which is created if it does not exist.

    Raises `LocalTrouble` at once if the folder cannot be used, before any request to the source.
    """

    def __init__(self, folder: Path, report: Report) -> None:
        self._layout, self._report = prepared(folder), report
        self._objects = Objects(self._layout)
        self._lock = threading.Lock()
        self._manifest: _Manifest | None = None
        self._accounts: dict[int, int] = {}
        self._only: int | None = None

    # -- the recorder's interface

    def begins(self, run: Beginning) -> None:
        """Create the run's manifest, which names earlier manifests."""
        first = lines.Run(
            format=FORMAT,
            run_id=run.run_id,
            source_url=run.source_url,
            version=run.version,
            started_at=run.started_at,
            accounts=sorted(run.accounts),
            approve_close=sorted(run.approve_close),
            max_close_share=run.max_close_share,
            page_limit=run.page_limit,
            previous=named_by_next(self._layout, run.started_at),
            erasures=newest_mark(self._layout),
        )
        self._manifest = _Manifest(self._layout, first)

    def reaches(self, accounts: Mapping[int, Sequence[int]]) -> None:
        """Record the roster. Later responses are labelled with the account of the user that they were requested for."""
        self._accounts = {user: account for account, users in accounts.items() for user in users}
        self._only = next(iter(accounts)) if len(accounts) == 1 else None
        self._write(lines.Roster(accounts=[(account, list(users)) for account, users in sorted(accounts.items())]))

    def received(self, exchange: Exchange) -> None:
        """Store one response; the extractor calls this as its exchange tap."""
        body = exchange.body
        self._write(
            lines.Response(
                account_id=self._accounts.get(exchange.params.get("user_id", 0), self._only),
                method=exchange.method,
                params=_encoded(exchange.params),
                request_id=exchange.request_id,
                received_at=exchange.received_at,
                status=exchange.status,
                sha256=None if body is None else self._objects.put(body),
                size=0 if body is None else len(body),
                records=_of_records(exchange.method, body),
                redacted=exchange.redacted,
                error=None if exchange.error is None else _utf8(exchange.error),
            )
        )

    def plans(self, account_id: int, bounds: Sequence[int]) -> None:
        """Record the account's windows: a replay does not know the previous listing, and may use another warehouse."""
        self._write(lines.Plan(account_id=account_id, bounds=list(bounds)))

    def publishes(self, publication: Publication) -> None:
        """Record a publication that is about to be committed, and make everything so far durable."""
        result = publication.result
        assert result.observed_at is not None
        self._write(
            lines.Publishes(
                account_id=result.account_id,
                account_name=result.account_name,
                timezone=publication.timezone,
                listed_by_user_id=publication.viewer.user_id,
                listed_by_credential=publication.viewer.credential,
                previous=publication.previous,
                observed_at=result.observed_at,
                listed_numbers=result.listed_numbers,
                quarantined=result.quarantined,
                changes={name: (c.opened, c.closed) for name, c in result.changes.items()},
                chain_digest=result.chain_digest,
            ),
            durable=True,
        )

    def settles(self, result: AccountResult) -> None:
        """Record an account's outcome. An error here is only reported: the account may be committed already."""
        error = None if result.error is None else _utf8(result.error)
        line = lines.Account(
            account_id=result.account_id, status=result.status.value, error=error, exit_code=result.exit_code
        )
        self._add_outcome(line)

    def ends(self, result: RunResult) -> None:
        """Record the run's outcome, and seal its manifest."""
        error = None if result.error is None else _utf8(result.error)
        self._add_outcome(
            lines.End(
                status=result.status.value, exit_code=result.exit_code, finished_at=result.finished_at, error=error
            )
        )
        manifest, self._manifest = self._manifest, None
        if manifest is not None:
            with self._lock:
                self._report_failure(manifest.seal)

    # -- writing

    def _write(self, line: lines.Line, *, durable: bool = False) -> None:
        with self._lock:
            if self._manifest is not None:
                self._manifest.add(line, durable=durable)

    def _add_outcome(self, line: lines.Line) -> None:
        with self._lock:
            if self._manifest is not None:
                manifest = self._manifest
                self._report_failure(lambda: manifest.add(line))

    def _report_failure(self, write: Callable[[], None]) -> None:
        """Report an error of `write` as a notice: data is published already. The run then looks interrupted."""
        try:
            write()
        except VnsyncError as exc:
            self._report(Notice(message=f"the archive lacks the end of this run: {exc}"))


class _Manifest:
    """Manifest that is written line by line; an incompletely written line is truncated again."""

    def __init__(self, layout: Layout, first: lines.Run) -> None:
        self._path, run_id = layout.manifest(first.run_id), first.run_id
        if self._path.exists() or layout.tombstone(run_id).exists():
            raise LocalTrouble(f"the archive already has run {run_id}", remedy="Give each warehouse its own archive")
        text = lines.encoded(first)
        write_whole(self._path, text)
        self._hash, self._lines, self._size = hashlib.sha256(text), 1, len(text)
        with local_trouble(self._path):
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)

    def add(self, line: lines.Line, *, durable: bool = False) -> None:
        """Add a line; `durable`: this line and all before it are on the disk on return."""
        text = lines.encoded(line)
        if len(text) > LONGEST_LINE or self._size + len(text) > LARGEST:
            raise LocalTrouble(f"the manifest {self._path} is full", remedy="Sync fewer accounts in one run")
        with local_trouble(self._path):
            try:
                write_all(self._descriptor, text)
                if durable:
                    os.fsync(self._descriptor)
            except OSError:
                os.ftruncate(self._descriptor, self._size)
                raise
        self._hash.update(text)
        self._lines, self._size = self._lines + 1, self._size + len(text)

    def seal(self) -> None:
        """Add the seal, and close the file."""
        try:
            self.add(lines.Seal(lines=self._lines, sha256=self._hash.hexdigest()), durable=True)
        finally:
            os.close(self._descriptor)


def _of_records(method: str, body: bytes | None) -> str | None:
    """Digest over the pieces of a listing answer; None for other answers."""
    found = cut(body) if body is not None and method == LISTING else None
    return None if found is None else found.digest()


def _encoded(params: Mapping[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(params))


def _utf8(text: str) -> str:
    """Text that JSON can represent: lone surrogates become visible escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
