"""`vnsync report`: a page in a file, whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine

from tests.support.html_tree import parsed, unreadable
from tests.support.running import Run, Source


@pytest.fixture
def synced(agency: Source, vnsync: Run) -> Iterator[Source]:
    """An agency that was synced just now, by a clock that stands."""
    with time_machine.travel(datetime(2026, 1, 5, 6, tzinfo=UTC), tick=False):
        assert vnsync("sync", *agency.options).code == 0
        yield agency


@pytest.mark.usefixtures("synced")
def test_a_page_for_its_owner_alone(vnsync: Run, clean: Path) -> None:
    """One file, mode 0600, and no other; size and accounts are printed, as JSON too."""
    before = set(clean.iterdir())
    done = vnsync("report", "--out", "report.html", "--output", "json")
    page = clean / "report.html"
    assert done.json == {"path": "report.html", "bytes": page.stat().st_size, "accounts": 2}
    assert page.stat().st_mode & 0o777 == 0o600
    assert set(clean.iterdir()) - before == {page}
    assert vnsync("report", "--out", "report.html").out.startswith("report.html: 2 accounts, ")


@pytest.mark.usefixtures("synced")
def test_the_same_data_and_clock_give_the_same_bytes(vnsync: Run, clean: Path) -> None:
    """A report can be compared with another one, byte by byte."""
    for name in ("a.html", "b.html"):
        assert vnsync("report", "--out", name).code == 0
    assert (clean / "a.html").read_bytes() == (clean / "b.html").read_bytes()


def test_a_page_of_one_account(synced: Source, vnsync: Run, clean: Path) -> None:
    """`--account`: that account alone, also where a page of the whole was, and as of an earlier moment."""
    one, other = synced.world.customer_ids
    assert vnsync("report", "--out", "page.html").code == 0
    done = vnsync("report", "--out", "page.html", "--account", one, "--output", "json")
    written = (clean / "page.html").read_text(encoding="utf-8")
    assert done.json == {"path": "page.html", "bytes": len(written.encode()), "accounts": 1}
    page = parsed(written)
    assert page.one("head").one("title").text == f"vnsync report: account {one}"
    assert unreadable(page) == []
    assert synced.url in written
    assert str(other) not in page.text
    assert vnsync("report", "--out", "then.html", "--account", one, "--as-of", "2026-01-05T06:00:00Z").code == 0
    assert parsed((clean / "then.html").read_text(encoding="utf-8")).by_id("syncs").all("tr")[1:] != []
    done = vnsync("report", "--out", "none.html", "--account", 99)
    assert done.code == 2
    assert "account 99 was never published" in done.error
    assert not (clean / "none.html").exists()


@pytest.mark.usefixtures("synced")
def test_an_earlier_report_is_replaced_and_nothing_else(vnsync: Run, clean: Path) -> None:
    """A report gives way; an empty file, the warehouse, a folder and a device do not: exit 74, one line."""
    for _ in range(2):
        assert vnsync("report", "--out", "old.html").code == 0
        assert b"</html>" in (clean / "old.html").read_bytes()
    (clean / "empty.html").touch()
    warehouse = (clean / "vnsync.db").read_bytes()
    (clean / "notes.html").write_text("<!doctype html><p>mine")
    (clean / "folder").mkdir()
    wanted = dict.fromkeys(("empty.html", "vnsync.db", "notes.html", "/dev/null"), "is not a vnsync report")
    for name, words in (wanted | {"folder": "is a folder", "no/such/r.html": "No such file"}).items():
        done = vnsync("report", "--out", name)
        assert (done.code, done.out) == (74, "")
        assert words in done.error
    assert (clean / "vnsync.db").read_bytes() == warehouse
    assert (clean / "notes.html").read_text() == "<!doctype html><p>mine"
    assert (clean / "empty.html").read_bytes() == b""


@pytest.mark.usefixtures("synced")
def test_a_full_disk_leaves_the_earlier_report(vnsync: Run, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space left at the last moment: exit 74, the earlier file stays, and no temporary file is left."""
    assert vnsync("report", "--out", "r.html").code == 0
    before, names = (clean / "r.html").read_bytes(), set(clean.iterdir())

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    done = vnsync("report", "--out", "r.html", "--max-age", "1s")
    assert done.code == 74
    assert "No space left on device" in done.error
    assert (clean / "r.html").read_bytes() == before
    assert set(clean.iterdir()) == names


def test_what_is_stale_is_said(synced: Source, vnsync: Run, clean: Path) -> None:
    """Older than `--max-age`: named; as of the time when it was fresh: not."""
    with time_machine.travel(datetime(2026, 1, 7, 6, tzinfo=UTC), tick=False):
        assert vnsync("report", "--out", "now.html").code == 0
        assert vnsync("report", "--out", "loose.html", "--max-age", "3d").code == 0
        assert vnsync("report", "--out", "then.html", "--as-of", "2026-01-05T07:00:00Z").code == 0
    told = {name: (clean / f"{name}.html").read_text() for name in ("now", "loose", "then")}
    assert {n: "2 accounts not observed within 26 h" in page for n, page in told.items()} == {
        "now": True, "loose": False, "then": False,
    }  # fmt: skip
    assert "As known at 2026-01-05 07:00:00 UTC, created at 2026-01-07 06:00:00 UTC" in told["then"]
    assert synced.url in told["now"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "Missing option '--out'"),
        (("--out", "-"), "the page does not go to stdout"),
        (("--out", "x.html", "--as-of", "2999-01-01"), "lies in the future"),
        (("--out", "x.html", "--as-of", "2020-01-01"), "before the first observation"),
        (("--out", "x.html", "--max-age", "soon"), "is not a duration"),
        (("--out", "x.html", "--account", "Acme"), "is not a valid integer"),
    ],
)
@pytest.mark.usefixtures("synced")
def test_bad_words_get_exit_2_and_no_file(options: tuple[str, ...], words: str, vnsync: Run, clean: Path) -> None:
    """One line, and nothing is written."""
    done = vnsync("report", *options)
    assert (done.code, done.out) == (2, "")
    assert words in done.error
    assert not (clean / "x.html").exists()
    assert not (clean / "-").exists()


def test_no_warehouse_is_not_made(vnsync: Run, clean: Path) -> None:
    """Reporting on a file that is not there makes neither it nor a report."""
    done = vnsync("report", "--out", "r.html")
    assert done.code == 78
    assert "there is no warehouse" in done.error
    assert list(clean.iterdir()) == []


def test_a_run_without_accounts_and_an_empty_warehouse(vnsync: Run, clean: Path) -> None:
    """A migrated warehouse without a run gives a page that says how to begin."""
    assert vnsync("db", "upgrade").code == 0
    assert vnsync("report", "--out", "r.html", "--output", "json").json["accounts"] == 0
    assert "Nothing was ever synced" in (clean / "r.html").read_text()


def test_a_secret_that_the_source_sends_back_is_masked(customer: Source, vnsync: Run, clean: Path) -> None:
    """A campaign named after a key that is in force: the page shows stars, whatever characters the key has."""
    secret = 'a-secret-of-another"<&>kind'
    (account,) = customer.world.customer_ids
    number = next(r for r in customer.world.truth(account) if r["campaigns"])
    customer.world.rename_campaign(account, number["campaigns"][0]["campaign_id"], f"x {secret} y")
    assert vnsync("sync", *customer.options).code == 0
    assert vnsync("report", "--out", "shown.html").code == 0
    assert "a-secret-of-another" in (clean / "shown.html").read_text()
    for options in ((), ("--account", account)):
        assert vnsync("report", "--out", "masked.html", *options, VNSYNC_API_TOKEN=secret).code == 0
        page = (clean / "masked.html").read_text()
        assert "a-secret-of-another" not in page
        assert "x **** y" in page
