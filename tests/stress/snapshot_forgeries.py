"""Forgeries of a snapshot with a correct manifest: other types, empty texts for nulls, instants, whole accounts."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace

from etl.snapshot import manifest as manifests

_INSTANT = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.(\d{6})Z")


class SnapshotForger:
    """Draws forgeries. Each returns names, of which one must be reported."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self._folder, self._dice = folder, dice
        self._ways: list[Callable[[], set[str]]] = [
            self.other_type, self.empty_for_null, self.null_for_text, self.instant, self.drop_account, self.parquet_type
        ]  # fmt: skip

    def forge(self) -> tuple[str, set[str]]:
        way = self._dice.choice(self._ways)
        return way.__name__, way()

    def _seal(self) -> None:
        told = manifests.loads((self._folder / manifests.NAME).read_bytes())
        files = []
        for file in told.files:
            content = (self._folder / file.path).read_bytes()
            files.append(replace(file, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content)))
        (self._folder / manifests.NAME).write_bytes(manifests.dumps(replace(told, files=tuple(files))))

    def _edited(self, pattern: str, change: Callable[[bytes], bytes]) -> set[str]:
        """Change one line of one file, where the change has an effect."""
        paths = self._dice.sample(sorted(self._folder.glob(pattern)), k=len(sorted(self._folder.glob(pattern))))
        for path in paths:
            lines = path.read_bytes().splitlines(keepends=True)
            places = [i for i, line in enumerate(lines) if change(line) != line and (i or path.suffix != ".csv")]
            if places:
                at = self._dice.choice(places)
                lines[at] = change(lines[at])
                path.write_bytes(b"".join(lines))
                self._seal()
                return {path.name}
        return set()

    def other_type(self) -> set[str]:
        """Write a number as text."""
        return self._edited("*.ndjson", lambda line: re.sub(rb":(\d+)(?=[,}])", rb':"\1"', line, count=1))

    def empty_for_null(self) -> set[str]:
        """Write an empty text instead of null."""
        return self._edited("*.ndjson", lambda line: line.replace(b":null", b':""', 1))

    def null_for_text(self) -> set[str]:
        """Write null instead of a text, in CSV."""
        return self._edited("*.csv", lambda line: re.sub(rb",[A-Za-z][^,\n]*", b",", line, count=1))

    def instant(self) -> set[str]:
        """Move an instant by a microsecond."""

        def later(line: bytes) -> bytes:
            return _INSTANT.sub(lambda m: m[0][:-7] + b"%06dZ" % ((int(m[1]) + 1) % 10**6), line, count=1)

        return self._edited(self._dice.choice(["*.ndjson", "*.csv"]), later)

    def drop_account(self) -> set[str]:
        """Remove all rows of one account, in each file and in the manifest."""
        told = manifests.loads((self._folder / manifests.NAME).read_bytes())
        account, *others = self._dice.sample(told.accounts, k=len(told.accounts))
        files = []
        for file in told.files:
            path = self._folder / file.path
            rows = _without(path, account.account_id)
            files.append(replace(file, rows=rows))
        kept = tuple(sorted(others, key=lambda a: a.account_id))
        (self._folder / manifests.NAME).write_bytes(manifests.dumps(replace(told, accounts=kept, files=tuple(files))))
        self._seal()
        return {f"account {account.account_id}"}

    def parquet_type(self) -> set[str]:
        """Change a column's type: numbers as text, or nulls as empty texts."""
        path = self._dice.choice([p for p in sorted(self._folder.glob("*.parquet")) if pq.read_metadata(p).num_rows])
        table = pq.read_table(path)
        at = self._dice.randrange(table.num_columns)
        column = table.column(at)
        if pa.types.is_string(column.type) and column.null_count:
            other = column.fill_null("")
        else:
            other = pa.array([None if v is None else str(v) + " " for v in column.to_pylist()], pa.string())
        pq.write_table(table.set_column(at, table.field(at).name, other), path, compression="zstd")
        self._seal()
        return {path.name}


def _without(path: Path, account_id: int) -> int:
    """Remove an account's rows from a file. Returns how many rows are left."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        kept = table.filter(pa.compute.not_equal(table.column("account_id"), account_id))
        pq.write_table(kept, path, compression="zstd")
        return int(kept.num_rows)
    lines = path.read_bytes().splitlines(keepends=True)
    mine = (b"%d," % account_id) if path.suffix == ".csv" else b'{"account_id":%d,' % account_id
    left = [line for line in lines if not line.startswith(mine)]
    path.write_bytes(b"".join(left))
    return len(left) - (path.suffix == ".csv")
