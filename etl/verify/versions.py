"""One account's versions of one table, read once in the order of their keys: each is checked, and all are digested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from etl.domain.canonical import bytes_of, digest_of_fields, text_of
from etl.domain.chain import Change, Lines
from etl.domain.tables import Table
from etl.domain.verification import Problem, Problems
from etl.store import copy_text

NULL = b"\\N"


@dataclass
class Erased:
    """The digests of what was erased from an account's numbers, by number and beginning; those met are noted."""

    digests: dict[tuple[bytes, bytes], bytes] = field(default_factory=dict)
    met: set[tuple[bytes, bytes]] = field(default_factory=set)


@dataclass
class Scan:
    """What one reading of a table gives: the lines by instant and change, and how many versions there are."""

    sections: dict[tuple[bytes, Change], Lines] = field(default_factory=dict)
    versions: int = 0

    def add(self, moment: bytes, change: Change, line: bytes) -> None:
        """Take a line of the versions that were closed or opened at a moment."""
        made = self.sections.get((moment, change))
        if made is None:
            made = self.sections[moment, change] = Lines()
        made.add(line)


class Versions:
    """Reads an account's versions of a table. `published`: the run that published at each instant."""

    def __init__(
        self, table: Table, account_id: str, published: Mapping[bytes, bytes], erased: Erased, problems: Problems
    ) -> None:
        self._table, self._account_id, self._problems = table, account_id, problems
        self._published, self._erased = published, erased
        self._empty = digest_of_fields(*(None for _ in table.personal)).encode()
        self._keys = len(table.key)

    def scan(self, connection: Connection) -> Scan:
        """Check every version, and digest what each sync closed and opened."""
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
            last_values = sealed if sealed is line else b""  # what was erased may come again, as it was
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
        for batch in copy_text.stream(connection, fields, source, {"account": int(self._account_id)}):
            yield from batch

    # -- one version

    def restored(self, key: list[bytes], since: bytes, line: bytes) -> bytes:
        """The line as it was sealed: for what was erased, the digest that was kept stands in the place of nothing."""
        place = (key[0], since)
        kept = self._erased.digests.get(place)
        if kept is None:
            return line
        self._erased.met.add(place)
        rest, _, digest = line[:-1].rpartition(b"\t")
        if digest != self._empty:
            self._tell(key, None, f"is on record as erased, but the version of {text_of(since)} has content again")
            return line
        return rest + b"\t" + kept + b"\n"

    def _check(self, key: list[bytes], since: bytes, until: bytes, opened_by: bytes, closed_by: bytes) -> None:
        if self._published.get(since) != opened_by:
            self._tell(key, opened_by, f"was opened at {text_of(since)}, but that run published nothing then")
        if until == NULL:
            return
        if self._published.get(until) != closed_by:
            self._tell(key, closed_by, f"was closed at {text_of(until)}, but that run published nothing then")
        if until <= since:
            self._tell(key, closed_by, f"ends at {text_of(until)}, not after it began ({text_of(since)})")

    def _check_neighbours(self, key: list[bytes], before: tuple[bytes, bytes], after: tuple[bytes, bytes]) -> None:
        (until, values), (since, line) = before, after
        if until == NULL or until > since:
            self._tell(key, self._published.get(since), f"has versions that overlap at {text_of(since)}")
        elif until == since and values == line:
            self._tell(key, self._published.get(since), f"has two equal versions that meet at {text_of(since)}")

    def _tell(self, key: list[bytes], run_id: bytes | None, what: str) -> None:
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

    # -- looked at once more, to name the row that differs

    def sealed_lines(self, connection: Connection, moment: str, change: Change) -> Iterator[tuple[list[bytes], bytes]]:
        """The keys and lines of what is now on record as closed or opened at a moment, in the order of their keys."""
        dialect = connection.dialect.name
        keys = [f"v.{name}" for name in self._table.key_names]
        when, fields = "v.valid_from", copy_text.opened(self._table, dialect)
        if change is Change.CLOSED:
            when, fields = "v.valid_to", copy_text.closed(self._table, dialect)
        condition = f"where {when} = {copy_text.parameter('now', dialect)} order by v.account_id, {', '.join(keys)}"
        source = f"{copy_text.versions(self._table, dialect)} {condition}"
        for batch in copy_text.stream(connection, fields, source, {"account": int(self._account_id), "now": moment}):
            for line in batch:
                key = line[:-1].split(b"\t", self._keys)[: self._keys]
                restored = change is Change.OPENED and self._table.personal
                yield key, self.restored(key, bytes_of(moment), line) if restored else line


def named_key(table: Table, key: list[bytes]) -> str:
    """A key as people read it: `virtual_number_id 7, campaign_id 3`."""
    return ", ".join(f"{name} {text_of(part)}" for name, part in zip(table.key_names, key, strict=False))
