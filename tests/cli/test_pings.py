"""`VNSYNC_PING_URL`: a monitoring check is pinged for each sync, and cannot change its outcome."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from etl.cli import outbox
from etl.cli.outbox import Outbox, Undelivered, post
from etl.cli.pings import address
from etl.config.settings import load
from etl.errors import Misconfigured, Stopped
from tests.support.monitor import Monitor, listening
from tests.support.running import Run, Source, command, environment

SECRET = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    """A monitoring check that records pings."""
    with listening() as one:
        yield one


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that a test can wait for."""
    monkeypatch.setattr(outbox, "LIMIT", 0.2)


def runs_of(monitor: Monitor) -> list[set[str]]:
    """The ids of the runs, each as often as it was used in a row."""
    return [set(parse_qs(urlsplit(path).query)["rid"]) for path, _, _ in monitor.told]


def test_start_then_success(agency: Source, vnsync: Run, monitor: Monitor) -> None:
    """Two pings with one run id, the second without a suffix; nothing of the run is in them."""
    done = vnsync("sync", *agency.options, VNSYNC_PING_URL=f"{monitor.url}/{SECRET}")
    assert (done.code, monitor.paths) == (0, [f"/{SECRET}/start", f"/{SECRET}"])
    first, second = runs_of(monitor)
    assert first == second
    assert [body for _, _, body in monitor.told] == [b"", b""]


def test_the_exit_code_follows_a_failure(agency: Source, vnsync: Run, monitor: Monitor) -> None:
    """A customer that fails among others is 3."""
    agency.world.block(agency.world.customer_ids[1], "forbidden")
    assert vnsync("sync", *agency.options, VNSYNC_PING_URL=f"{monitor.url}/{SECRET}").code == 3
    assert monitor.paths == [f"/{SECRET}/start", f"/{SECRET}/3"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--api-token-file", "none"), 78),
        (("--database-url", "sqlite:///none/w.db"), 74),
        (("--database-url", "postgresql://u@127.0.0.1:1/d"), 69),
    ],
)
def test_it_is_told_around_the_whole_command(
    agency: Source, vnsync: Run, monitor: Monitor, options: tuple[str, ...], code: int
) -> None:
    """An error before a run begins is pinged as well, with its exit code."""
    done = vnsync("sync", *agency.options, *options, VNSYNC_PING_URL=f"{monitor.url}/{SECRET}")
    assert (done.code, monitor.paths) == (code, [f"/{SECRET}/start", f"/{SECRET}/{code}"])


@pytest.mark.parametrize(("error", "code"), [(ZeroDivisionError(), 1), (Stopped(15, "SIGTERM"), 143)])
def test_bugs_and_stops_are_told(
    agency: Source, vnsync: Run, monitor: Monitor, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    """Whatever ends the command, the check and the lineage learn of it."""

    def ended(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("etl.sync.run.sync", ended)
    words = ("sync", "--openlineage-file", "events.ndjson", *agency.options)
    assert vnsync(*words, VNSYNC_PING_URL=f"{monitor.url}/{SECRET}").code == code
    assert monitor.paths[-1] == f"/{SECRET}/{code}"
    kinds = [json.loads(line)["eventType"] for line in Path("events.ndjson").read_text().splitlines()]
    assert kinds == ["START", "ABORT" if code == 143 else "FAIL"]


def test_other_commands_ping_nobody(agency: Source, vnsync: Run, monitor: Monitor) -> None:
    """The check is about syncs."""
    vnsync("plan", *agency.options, VNSYNC_PING_URL=f"{monitor.url}/{SECRET}")
    vnsync("sync", "--help", VNSYNC_PING_URL=f"{monitor.url}/{SECRET}")
    assert monitor.told == []


@pytest.mark.parametrize("status", [301, 404, 500])
def test_a_refusal_is_a_notice(agency: Source, vnsync: Run, monitor: Monitor, status: int) -> None:
    """One line, which names the setting and not its value; the run's outcome is unchanged."""
    monitor.status = status
    done = vnsync("sync", *agency.options, "--log-format", "json", VNSYNC_PING_URL=f"{monitor.url}/{SECRET}")
    told = [line for line in done.err.splitlines() if "VNSYNC_PING_URL" in line]
    assert (done.code, len(told)) == (0, 1)
    assert f"was not delivered: the answer was HTTP {status}" in told[0]
    assert SECRET[:12] not in done.out + done.err


@pytest.mark.usefixtures("short")
def test_a_check_that_hangs_delays_little(agency: Source, vnsync: Run, monitor: Monitor) -> None:
    """After the limit the command ends as it would have ended, with a notice."""
    monitor.open.clear()
    done = vnsync("sync", *agency.options, VNSYNC_PING_URL=f"{monitor.url}/{SECRET}")
    assert done.code == 0
    assert "not delivered" in done.err
    assert SECRET[:12] not in done.out + done.err


def test_nobody_listens(agency: Source, vnsync: Run) -> None:
    """A refused connection is a notice, too, also at debug, which shows tracebacks."""
    done = vnsync("sync", "-v", *agency.options, VNSYNC_PING_URL=f"http://127.0.0.1:1/{SECRET}")
    assert (done.code, "was not delivered: ConnectError" in done.err) == (0, True)
    assert SECRET[:12] not in done.out + done.err


def test_each_beat_is_told(agency: Source, monitor: Monitor) -> None:
    """`sync --every`: start and end of each run, ids of their own; a stop during a pause is no failure."""
    variables = {**environment(), "VNSYNC_PING_URL": f"{monitor.url}/{SECRET}"}
    words = command("sync", "--every", "1s", *agency.options)
    with subprocess.Popen(words, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as staying:
        assert staying.stdout is not None
        for _ in range(2):
            staying.stdout.readline()
        staying.send_signal(signal.SIGTERM)
        staying.communicate(timeout=60)
    assert staying.returncode == 143
    assert monitor.paths[:4] == [f"/{SECRET}/start", f"/{SECRET}"] * 2
    ids = runs_of(monitor)
    assert ids[0] == ids[1] != ids[2]
    assert set(monitor.paths[4:]) <= {f"/{SECRET}/start", f"/{SECRET}/143"}


def test_the_url_is_shown_nowhere(vnsync: Run) -> None:
    """`config` masks it."""
    url = f"https://checks.example/ping/{SECRET}"
    done = vnsync("config", "--output", "json", VNSYNC_PING_URL=url)
    told = {one["setting"]: one["value"] for one in done.json["settings"]}
    assert told["ping_url"] == "****"
    assert SECRET[:12] not in vnsync("config", VNSYNC_PING_URL=url).out


@pytest.mark.parametrize(
    "url",
    [
        f"http://checks.example/{SECRET}",
        f"https://user:{SECRET}@checks.example/",
        f"https://checks.example/{SECRET} b",
        f"ftp://checks.example/{SECRET}",
        f"https://checks.example:99999/{SECRET}",
        f"{SECRET}",
    ],
)
def test_an_unsafe_url_is_refused(vnsync: Run, url: str) -> None:
    """78, in a line that names the setting and repeats nothing of the value."""
    done = vnsync("sync", VNSYNC_PING_URL=url)
    assert (done.code, "VNSYNC_PING_URL is refused" in done.error) == (78, True)
    assert SECRET[:12] not in done.err


def test_a_file_with_it_is_for_its_owner_alone(clean: Path) -> None:
    """As with every secret."""
    file = clean / "vnsync.toml"
    file.write_text(f'ping_url = "https://checks.example/{SECRET}"\n')
    file.chmod(0o644)
    with pytest.raises(Misconfigured, match=r"holds a secret \(ping_url\)"):
        load()


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("https://a.example/x", "https://a.example/x/start?rid=1"),
        ("https://a.example/x/", "https://a.example/x/start?rid=1"),
        ("https://a.example/k/slug?create=1", "https://a.example/k/slug/start?create=1&rid=1"),
    ],
)
def test_the_suffix_goes_before_the_query(url: str, start: str) -> None:
    """The path is longer by a word, and the query by the run's id."""
    assert address(url, "start", "1") == start
    assert re.sub("[?&]rid=1$", "", address(url, "", "1")) == url


def test_too_many_messages_are_dropped(monitor: Monitor) -> None:
    """A check that hangs does not fill the memory of a process that stays."""
    monitor.open.clear()
    full = Outbox()
    for _ in range(outbox.MOST_WAITING + 3):
        full.put("a ping", lambda: post(monitor.url))
    assert full.problems == ["a ping was dropped: earlier ones wait"]
    monitor.open.set()


def test_reasons_hold_no_address() -> None:
    """A library's message about a URL is not repeated."""
    for url in (f"http://127.0.0.1:1/{SECRET}", f"http://[{SECRET}", f"https://{SECRET}\x00.example/"):
        with pytest.raises(Undelivered) as caught:
            post(url)
        assert SECRET[:12] not in str(caught.value)
