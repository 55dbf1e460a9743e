"""Scan of one account's versions of one table: one pass in key order that checks and digests every version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field
from sqlalchemy import Connection

from etl.domain.canonical import bytes_of, digest_of_fields, text_of
from etl.domain.chain import Change, Lines
from etl.domain.tables import Table
from etl.domain.verification import Problem, Problems
from etl.store import copy_text

NULL = b"\\N"


class Erased(Struct):
    """Digests of erased content of an account, by number and start of the version; `met`: those found in the scan."""

    digests: dict[tuple[bytes, bytes], bytes] = field(default_factory=dict)
    met: set[tuple[bytes, bytes]] = field(default_factory=set)


class Scan(Struct):
    """Result of one pass over a table: the lines by instant and change, and the number of versions."""

    sections: dict[tuple[bytes, Change], Lines] = field(default_factory=dict)
    versions: int = 0

    def add(self, moment: bytes, change: Change, line: bytes) -> None:
        """Add the line of a version that was opened or closed at an instant."""
        lines = self.sections.get((moment, change))
        if lines is None:
            lines = self.sections[moment, change] = Lines()
        lines.add(line)


class Versions:
    """Reader of an account's versions of a table. `published`: the run that published at each instant."""

    def __init__(
        self, table: Table, account_id: str, published: Mapping[bytes, bytes], erased: Erased, problems: Problems
    ) -> None:
        self._table, self._account_id, self._problems = table, account_id, problems
        self._published, self._erased = published, erased
        self._empty = digest_of_fields(*(None for c in table.personal if not c.later)).encode()
        self._keys = len(table.key)
        self._digest_at = len([c for c in table.plain if not c.later])
        self._optional = copy_text.optional(table)

    def scan(self, connection: Connection) -> Scan:
        """Check every version, and digest the versions that each sync opened and closed."""
        scan, width = Scan(), self._keys
        last_key: list[bytes] = []
        last_until = last_values = b""
        for raw in self._rows(connection):
            parts = raw.split(b"\t", width + 4)
            key, (since, until, opened_by, closed_by, line) = parts[:width], parts[width:]
            sealed = self.restored(key, since, line) if self._table.personal else line
            self._check(key, since, until, opened_by, closed_by)
            if key == last_key:
                self._check_neighbours(key, (last_until, last_values), (since, sealed))
            scan.add(since, Change.OPENED, sealed)
            if until != NULL:
                scan.add(until, Change.CLOSED, b"\t".join([*key, since]) + b"\n")
            scan.versions += 1
            last_key, last_until = key, until
            last_values = sealed if sealed is line else b""  # erased content may be followed by the same content
        return scan

    def _rows(self, connection: Connection) -> Iterator[bytes]:
        dialect = connection.dialect.name
        keys = [f"v.{name}" for name in self._table.key_names]
        instants = [
            copy_text.nullable(copy_text.instant(name, dialect), dialect) for name in ("v.valid_from", "v.valid_to")
        ]
        runs = [copy_text.nullable(name, dialect) for name in ("v.opened_run_id", "v.closed_run_id")]
        fields = [*keys, *instants, *runs, *copy_text.opened(self._table, dialect)]
        source = f"{copy_text.versions(self._table, dialect)} order by v.account_id, {', '.join(keys)}, v.valid_from"
        account = {"account": int(self._account_id)}
        for batch in copy_text.stream(connection, fields, source, account, optional=self._optional):
            yield from batch

    # -- checks of one version

    def restored(self, key: list[bytes], since: bytes, line: bytes) -> bytes:
        """Line as it was sealed: for an erased version, the kept digest replaces the digest of no content."""
        place = (key[0], since)
        kept = self._erased.digests.get(place)
        if kept is None:
            return line
        self._erased.met.add(place)
        fields = line[:-1].split(b"\t")
        if fields[self._digest_at] != self._empty:
            self._report(key, None, f"is on record as erased, but the version of {text_of(since)} has content again")
            return line
        fields[self._digest_at] = kept
        return b"\t".join(fields) + b"\n"

    def _check(self, key: list[bytes], since: bytes, until: bytes, opened_by: bytes, closed_by: bytes) -> None:
        if self._published.get(since) != opened_by:
            self._report(key, opened_by, f"was opened at {text_of(since)}, but that run published nothing then")
        if until == NULL:
            return
        if self._published.get(until) != closed_by:
            self._report(key, closed_by, f"was closed at {text_of(until)}, but that run published nothing then")
        if until <= since:
            self._report(key, closed_by, f"ends at {text_of(until)}, not after it began ({text_of(since)})")

    def _check_neighbours(self, key: list[bytes], before: tuple[bytes, bytes], after: tuple[bytes, bytes]) -> None:
        (until, values), (since, line) = before, after
        if until == NULL or until > since:
            self._report(key, self._published.get(since), f"has versions that overlap at {text_of(since)}")
        elif until == since and values == line:
            self._report(key, self._published.get(since), f"has two equal versions that meet at {text_of(since)}")

    def _report(self, key: list[bytes], run_id: bytes | None, what: str) -> None:
        run = None if run_id is None else text_of(run_id)
        self._problems.add(
            Problem(
                table=self._table.name,
                key=named_key(self._table, key),
                account_id=self._account_id,
                run_id=run,
                what=what,
            )
        )

    # -- second reading, to find the row that differs

    def sealed_lines(self, connection: Connection, moment: str, change: Change) -> Iterator[tuple[list[bytes], bytes]]:
        """Keys and lines of the versions that are now recorded as opened or closed at an instant, in key order."""
        dialect = connection.dialect.name
        keys = [f"v.{name}" for name in self._table.key_names]
        when, fields, optional = "v.valid_from", copy_text.opened(self._table, dialect), self._optional
        if change is Change.CLOSED:
            when, fields, optional = "v.valid_to", copy_text.closed(self._table, dialect), 0
        condition = f"where {when} = {copy_text.parameter('now', dialect)} order by v.account_id, {', '.join(keys)}"
        source = f"{copy_text.versions(self._table, dialect)} {condition}"
        parameters = {"account": int(self._account_id), "now": moment}
        for batch in copy_text.stream(connection, fields, source, parameters, optional=optional):
            for line in batch:
                key = line[:-1].split(b"\t", self._keys)[: self._keys]
                restored = change is Change.OPENED and self._table.personal
                yield key, self.restored(key, bytes_of(moment), line) if restored else line


def named_key(table: Table, key: list[bytes]) -> str:
    """Key as text for people: `virtual_number_id 7, campaign_id 3`."""
    return ", ".join(f"{name} {text_of(part)}" for name, part in zip(table.key_names, key, strict=False))
