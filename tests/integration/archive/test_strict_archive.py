"""Spelling, fields and order of docs/archive.md: program and page agree, and any other form is found."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from etl.archive import erasures, lines, tombstones
from etl.archive.checking import Checked, check_archive
from etl.archive.erasing import erase_number
from etl.archive.pruning import prune
from etl.errors import VnsyncError
from tests.stress.forged_archive import Forged, sha256, spelled
from tests.support.archive_recording import ACCOUNT, BEGAN, RUN, later, recorded
from tests.support.checkout import ROOT

PAGE = ROOT / "docs" / "archive.md"
ANSWER = (
    b'{"jsonrpc":"2.0","id":41,"result":{"data":[{"id":7,"comment":"secret"},{"id":8,"comment":"more"}],'
    b'"metadata":{"total_items":2}}}'
)
PUBLISHES = {
    "kind": "publishes", "account_id": ACCOUNT, "account_name": "A", "timezone": None, "listed_by_user_id": None,
    "listed_by_credential": None, "previous": None, "observed_at": "2026-01-05T06:00:00Z", "listed_numbers": 2,
    "quarantined": 0, "changes": {"virtual_numbers": [2, 0]}, "chain_digest": "ab" * 32,
}  # fmt: skip


def _checked(folder: Path) -> Checked:
    try:
        return check_archive(folder)
    except VnsyncError as error:
        return Checked(problems=[str(error)])


def _sealed(forged: Forged, texts: list[bytes]) -> None:
    """Write a manifest of these lines with a valid seal."""
    text = b"".join(line + b"\n" for line in texts)
    seal = {"kind": "seal", "lines": len(texts), "sha256": sha256(text)}
    forged.manifest(RUN.run_id).write_bytes(text + spelled(seal) + b"\n")


def _lines(folder: Path) -> list[bytes]:
    """The lines of the run without its seal, and a publication."""
    return [*Forged(folder).manifest(RUN.run_id).read_bytes().splitlines()[:-1], spelled(PUBLISHES)]


@pytest.mark.fault("E02")
def test_lines_as_the_page_has_them_are_whole(tmp_path: Path) -> None:
    """White space and the order of members are free, and so are fields with their default."""
    recorded(tmp_path, [(ANSWER, {})])
    told = [
        line.replace(b'":', b'" : ').replace(b'"kind" : ', b'"error" : null, "kind" : ') for line in _lines(tmp_path)
    ]
    _sealed(Forged(tmp_path), [a if b"response" in a else b for a, b in zip(told, _lines(tmp_path), strict=True)])
    assert check_archive(tmp_path).problems == []


LINES: dict[str, tuple[bytes, bytes]] = {
    "an unknown field": (b'"timezone":null', b'"timezone":null,"x":1'),
    "an unknown field of a response": (b'"request_id":41', b'"request_id":41,"x":1'),
    "a name twice": (b'"timezone":null', b'"timezone":"x","timezone":null'),
    "a name twice in params": (b'"user_id":1', b'"user_id":2,"user_id":1'),
    "a name twice in escapes": (b'"timezone":null', b'"\\u0074imezone":"x","timezone":null'),
    "a digest in upper case": (b'"' + b"ab" * 32, b'"' + b"AB" * 32),
    "a digest that is none": (b'"' + b"ab" * 32, b'"' + b"ab" * 31),
    "an instant with an offset": (b"06:00:00Z", b"06:00:00+00:00"),
    "an instant in another zone": (b"06:00:00Z", b"09:00:00+03:00"),
    "an instant without a zone": (b"06:00:00Z", b"06:00:00"),
    "an instant in lower case": (b"T06:00:00Z", b"t06:00:00z"),
    "an instant with a short fraction": (b"06:00:00Z", b"06:00:00.5Z"),
    "an instant with a fraction of zero": (b"06:00:00Z", b"06:00:00.000000Z"),
    "an integer with a fraction": (b'"quarantined":0', b'"quarantined":0.0'),
    "an integer as text": (b'"quarantined":0', b'"quarantined":"0"'),
    "params that are a list": (b'{"user_id":1}', b"[1]"),
    "params that are null": (b'{"user_id":1}', b"null"),
    "a number beyond any float": (b'"max_close_share":0.5', b'"max_close_share":1e999'),
    "half a surrogate pair": (b'"account_name":"A"', b'"account_name":"\\ud800"'),
    "a missing field": (b'"listed_by_credential":null,', b""),
    "no JSON": (b'"quarantined":0', b'"quarantined":00'),
}


@pytest.mark.parametrize(("old", "new"), LINES.values(), ids=LINES)
@pytest.mark.fault("E02")
def test_line_that_is_spelled_in_another_way_is_found(tmp_path: Path, old: bytes, new: bytes) -> None:
    """Each other spelling is a problem that names the line, under a valid seal."""
    recorded(tmp_path, [(ANSWER, {})])
    told = _lines(tmp_path)
    at = max(i for i, line in enumerate(told) if old in line)
    _sealed(Forged(tmp_path), [*told[:at], told[at].replace(old, new, 1), *told[at + 1 :]])
    assert f"line {at + 1} cannot be read" in check_archive(tmp_path).problems[0]


def _erased(folder: Path) -> dict[str, Any]:
    """The record of an erasure from two answers."""
    recorded(folder, [(ANSWER, {}), (ANSWER.replace(b"more", b"and"), {})])
    erase_number(folder, ACCOUNT, 7, now=BEGAN + timedelta(days=2))
    found: dict[str, Any] = msgspec.json.decode((folder / "erasures" / "1.json").read_bytes())["record"]
    return found


def _twice(record: dict[str, Any]) -> None:
    record["responses"].append(record["responses"][0])


def _places_twice(record: dict[str, Any]) -> None:
    record["responses"][0]["records"] *= 2


def _offset(record: dict[str, Any]) -> None:
    record["erased_at"] = record["erased_at"].replace("Z", "+00:00")


def _unknown(record: dict[str, Any]) -> None:
    record["responses"][0]["x"] = 1


@pytest.mark.parametrize("change", [_twice, _places_twice, _offset, _unknown])
@pytest.mark.fault("E02")
def test_record_of_an_erasure_has_one_form(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """A response or a place that occurs twice, another spelling, another field: the file is named."""
    record = _erased(tmp_path)
    assert check_archive(tmp_path).problems == []
    change(record)
    Forged(tmp_path).record(tmp_path / "erasures" / "1.json", record)
    assert "erasures/1.json" in check_archive(tmp_path).problems[0]


@pytest.mark.fault("E02")
def test_file_of_an_erasure_holds_nothing_else(tmp_path: Path) -> None:
    """A duplicate name or white space around a record with a valid digest is found."""
    _erased(tmp_path)
    path = tmp_path / "erasures" / "1.json"
    content = path.read_bytes()
    for other in (content[:-1], content.replace(b'{"record":', b'{"record":{},"record":', 1), b" " + content):
        path.write_bytes(other)
        assert "erasures/1.json" in check_archive(tmp_path).problems[0]


@pytest.mark.fault("E02")
def test_erasure_that_a_later_run_does_not_know_is_told(tmp_path: Path) -> None:
    """The file was added after that run: a note, because a clock may have been wrong."""
    _erased(tmp_path)
    path = tmp_path / "erasures" / "1.json"
    content = path.read_bytes()
    path.unlink()
    path.parent.rmdir()
    recorded(tmp_path, [(ANSWER.replace(b"more", b"new"), {})], later(5))
    path.parent.mkdir()
    path.write_bytes(content)
    found = check_archive(tmp_path)
    assert found.problems == []
    assert any(n.startswith(f"erasure 1 is dated before run {later(5).run_id} began") for n in found.notes)


@pytest.mark.fault("E02")
def test_response_of_two_pruned_runs_is_excused_by_the_last(tmp_path: Path) -> None:
    """Pruned one after the other: the archive stays sound, and the tombstone of the second lists the response."""
    for days in (0, 2, 4):
        recorded(tmp_path, [(b"<html>the same</html>", {}), (ANSWER.replace(b"more", b"%d" % days), {})], later(days))
    for days in (1, 3):
        before = BEGAN + timedelta(days=days)
        assert len(prune(tmp_path, before=before, now=BEGAN + timedelta(days=9)).runs) == 1
        assert check_archive(tmp_path).problems == []


@pytest.mark.fault("E02")
def test_object_of_no_run_is_checked(tmp_path: Path) -> None:
    """An intact object is noted; one with other bytes is a problem."""
    recorded(tmp_path, [(ANSWER, {})])
    path = Forged(tmp_path).object(Forged(tmp_path).put(b"orphan"))
    assert any("belong to no run" in note for note in check_archive(tmp_path).notes)
    path.write_bytes(path.read_bytes()[:-1])
    assert len(check_archive(tmp_path).problems) == 1


@pytest.mark.parametrize("data", ["[{},]", "[{},,{}]", "[,]", "[,{}]", '[{"id":7,}', '[{"id":7}}'])
@pytest.mark.fault("E03")
def test_empty_elements_are_recorded_without_records(tmp_path: Path, data: str) -> None:
    """An answer with a superfluous comma, or without its end, is kept without a digest of its pieces."""
    recorded(tmp_path, [(ANSWER[: ANSWER.index(b"[")] + data.encode() + b"}}", {})])
    (line,) = (i for i in Forged(tmp_path).lines(RUN.run_id) if i["kind"] == "response")
    assert "records" not in line


def test_folder_without_its_first_file_is_no_archive(tmp_path: Path) -> None:
    """The folder is refused with a usage error, like any other folder."""
    recorded(tmp_path, [(ANSWER, {})])
    (tmp_path / "vnsync-archive.json").unlink()
    (error,) = _checked(tmp_path).problems
    assert "is not a vnsync archive" in error


# -- the page

STRUCTS = {
    kind.__struct_config__.tag: kind
    for kind in (
        lines.Run,
        lines.Roster,
        lines.Response,
        lines.Plan,
        lines.Publishes,
        lines.Account,
        lines.End,
        lines.Seal,
    )
}


def _of_page() -> dict[str, list[tuple[str, bool]]]:
    """By kind of line, the fields that the page names in order, and whether each may be left out."""
    out: dict[str, list[tuple[str, bool]]] = {}
    kind = ""
    for row in re.findall(r"^\| (`\w+`)? ?\| (`\w+`)? ?\| ([^|]*)\| ([^|]*)\|", PAGE.read_text(), re.MULTILINE):
        if row[0] and not row[1]:
            kind = row[0].strip("`")
        elif row[1] and not row[0]:
            out.setdefault(kind, []).append((row[1].strip("`"), bool(row[3].strip())))
    return out


def _of_struct(kind: type[msgspec.Struct]) -> list[tuple[str, bool]]:
    return [(found.encode_name, not found.required) for found in msgspec.structs.fields(kind)]


def test_page_has_every_field_of_every_line() -> None:
    """Page and program have the same names in the same order, and the same optional ones."""
    assert _of_page() == {str(tag): _of_struct(kind) for tag, kind in STRUCTS.items()}


def test_page_has_every_field_of_the_small_files() -> None:
    """The page names every field of an erasure, of its responses, and of a tombstone."""
    text = PAGE.read_text()
    for kind in (erasures.Erasure, erasures.Replaced):
        for name, _ in _of_struct(kind):
            assert f"\n| `{name}` |" in text, name
    fields = ", ".join(name for name, _ in _of_struct(tombstones.Tombstone))
    assert f"{{{fields}}}" in text
