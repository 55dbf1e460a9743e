"""`vnsync db rebind`, and the errors of commands that ask another installation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from etl.domain.installations import origin_of
from etl.sandbox.world import CustomerPlan, World
from tests.support.running import Run, Source, listening


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Source]:
    """Another installation, with an account of the same id."""
    (tmp_path / "other").mkdir()
    world = World(seed=8, customers=[CustomerPlan(numbers=5)], role="customer")
    with contextmanager(listening)(world, tmp_path / "other") as source:
        yield source


@pytest.fixture
def synced(customer: Source, vnsync: Run) -> Source:
    """A warehouse that belongs to the customer's installation."""
    assert vnsync("sync", *customer.options).code == 0
    return customer


@pytest.mark.parametrize("command", ["sync", "plan"])
@pytest.mark.fault("A01")
def test_one_line_names_both_installations_and_the_remedy(
    synced: Source, other: Source, vnsync: Run, command: str
) -> None:
    """78 on stderr, for machines too; the other installation was not asked anything."""
    done = vnsync(command, *other.options)
    assert (done.code, done.out) == (78, "")
    for url in (synced.url, other.url):
        assert origin_of(url) in done.error
    assert f"vnsync db rebind --to {origin_of(other.url)} --yes" in done.error
    assert other.api.requests == []
    assert vnsync("verify").code == 0


@pytest.mark.fault("A01")
def test_doctor_finds_the_other_installation(synced: Source, other: Source, vnsync: Run) -> None:
    """One failed finding with the remedy, exit 78; at the right one, the installation is named."""
    done = vnsync("doctor", *other.options, "--output", "json")
    assert done.code == 78
    found = {f["check"]: f for f in done.json["checks"]}["installation"]
    assert (found["state"], found["exit_code"]) == ("fail", 78)
    assert origin_of(synced.url) in found["found"]
    assert "db rebind" in found["remedy"]
    right = vnsync("doctor", *synced.options, "--output", "json").json["checks"]
    assert [f["state"] for f in right if f["check"] == "installation"] == ["ok"]


@pytest.mark.fault("A01")
def test_a_rebind_is_said_then_done(synced: Source, other: Source, vnsync: Run) -> None:
    """Without --yes it shows the change; with it the other installation is synced, and the old one refused."""
    before, after = origin_of(synced.url), origin_of(other.url)
    said = vnsync("db", "rebind", "--to", other.url)
    assert (said.code, said.err) == (0, "")
    words = f"belongs to {before}, and would belong to {after}; nothing was changed. Add --yes to do it."
    assert words in " ".join(said.out.split())
    told = vnsync("db", "rebind", "--to", other.url, "--output", "json").json
    assert told == {"rebound": False, "from": before, "to": after}
    assert vnsync("sync", *synced.options).code == 0
    assert vnsync("db", "rebind", "--to", other.url, "--yes", "--output", "json").json == {**told, "rebound": True}
    assert vnsync("plan", *other.options).code in (0, 3)
    assert vnsync("sync", *synced.options).code == 78
    again = vnsync("db", "rebind", "--to", other.url, "--yes")
    assert "nothing was changed" in " ".join(again.out.split())
    assert vnsync("verify").code == 0


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://dataapi.example/v2.0", "https only"),
        ("novafon", "neither a URL nor one of the known names"),
        ("https://u:p@dataapi.example", "it holds a user or a password"),
    ],
)
@pytest.mark.fault("A01")
def test_a_url_that_sync_would_not_take_is_refused(synced: Source, vnsync: Run, url: str, words: str) -> None:
    """Exit 2, with the reason that the setting has."""
    done = vnsync("db", "rebind", "--to", url, "--yes")
    assert (done.code, done.out) == (2, "")
    assert words in done.error
    assert vnsync("sync", *synced.options).code == 0


@pytest.mark.fault("A01")
def test_a_brand_s_name_is_taken(synced: Source, vnsync: Run) -> None:
    """The four names stand for their hosts."""
    told = vnsync("db", "rebind", "--to", "novofon", "--output", "json").json
    assert told == {"rebound": False, "from": origin_of(synced.url), "to": "https://dataapi-jsonrpc.novofon.ru"}


@pytest.mark.fault("A01")
def test_nothing_to_rebind(vnsync: Run) -> None:
    """No file: 78, and none is made. A warehouse without accounts: 2, for the first sync binds it."""
    assert vnsync("db", "rebind", "--to", "uis", "--yes").code == 78
    assert vnsync("db", "upgrade").code == 0
    done = vnsync("db", "rebind", "--to", "uis", "--yes")
    assert (done.code, done.out) == (2, "")
    assert "belongs to no installation yet" in done.error
