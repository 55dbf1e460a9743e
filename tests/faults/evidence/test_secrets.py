"""E06: a key, a password and a login that the source echoes, in any spelling and place."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy import Engine

from etl.domain.events import Notice
from etl.domain.spellings import IN_A_ROW, Word, holds, parts_of
from etl.extract.credentials import Credentials, Login, PermanentKey
from etl.extract.redaction import Redaction
from etl.sandbox import faults
from etl.sandbox.api import Api
from etl.sandbox.server import serve
from etl.sandbox.world import CustomerPlan, World
from tests.support.echoes import AS_ITS_OWN, SPELLINGS, Spelling, more_places, places
from tests.support.rig import Rig
from tests.support.running import Outcome, Run, Source
from tests.support.scenes import Scene
from tests.support.secrets import everything_in, write_secret
from tests.support.source_case import how_it_ends

pytestmark = pytest.mark.usefixtures("clean")

_TABLES = ("sync_runs", "account_syncs", "accounts", "source_drift", "quarantine")
MOST = (AS_ITS_OWN, "percent", "turned")
"""Spellings that every run of the tests tries; the others are marked as soak."""
KEY = "k3y/Q1w2+E3r4/t5Y6=u7I8/o9P0"
SPELLED = [pytest.param(s, marks=[] if s in MOST else pytest.mark.soak) for s in SPELLINGS]
PASSWORD, LOGIN = "pa/ss+W0rd", "anna.k@x.example"
PATIENCE = ("--retry-max-seconds", "0.01", "--log-level", "debug", "--log-format", "json", "--output", "json")


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[Source]:
    """A customer whose key has characters that are escaped in JSON, URLs and HTML."""
    world = World(seed=2, customers=[CustomerPlan(numbers=5)], role="customer")
    with serve(api := Api(world, token=KEY)) as server:
        token = write_secret(tmp_path / "key", KEY)
        yield Source(world, api, server.url, ("--api-url", server.url, "--api-token-file", str(token)))


def _texts(outcomes: Iterable[Outcome], there: Scene, folder: Path) -> Iterator[str]:
    """All texts that a person or a program can read afterwards, as they are and with JSON's escapes decoded."""
    for done in outcomes:
        yield done.out + done.err
        for line in (done.out + done.err).splitlines():
            yield from _values(json.loads(line)) if line.startswith("{") else ()
    for name in _TABLES:
        yield from (str(value) for row in there.rows(f"select * from {name}") for value in (row, *row))
    yield from _archived(folder)


def _values(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (text for item in value.items() for part in item for text in _values(part))
    elif isinstance(value, list):
        yield from (text for item in value for text in _values(item))
    elif isinstance(value, str):
        yield value


def _leaks(texts: Iterable[str], traces: Iterable[str]) -> set[str]:
    wanted = list(traces)
    return {trace for text in texts for trace in wanted if trace in text}


def _tried(
    there: Scene, vnsync: Run, echoes: dict[str, tuple[faults.Fault, int]], *words: str, **environment: str
) -> list[Outcome]:
    """A sync for each place, at the highest log level, into one archive. Returns the outcomes."""
    found = []
    for name, (fault, code) in echoes.items():
        there.api.faults.add(fault, times=None)
        done = vnsync("sync", "--database-url", there.url, *words, *PATIENCE, "--archive", "kept", **environment)
        assert done.code == code, (name, done.err)
        there.api.faults.clear()
        found.append(done)
    return found


@pytest.mark.parametrize("spelling", SPELLED)
@pytest.mark.fault("E06")
def test_key_in_every_spelling(sqlite_warehouse: Engine, tmp_path: Path, spelling: str) -> None:
    """In 28 places of answers: no event, row or archived byte has 12 characters of the key."""
    spelled = SPELLINGS[spelling]
    rig = _rig(sqlite_warehouse, tmp_path)
    _strike(rig, PermanentKey(KEY), KEY, spelled)
    assert not _leaks(_told(rig), spelled.traces(KEY, IN_A_ROW) | SPELLINGS[AS_ITS_OWN].traces(KEY, IN_A_ROW))
    assert _leaks(_told(rig), {"****"})


@pytest.mark.parametrize("spelling", [*MOST, pytest.param("escapes", marks=pytest.mark.soak)])
@pytest.mark.fault("E06")
def test_password_and_login(warehouse: Engine, tmp_path: Path, spelling: str) -> None:
    """A password of ten characters and the login are masked in everything but records, also in archived pages."""
    spelled, rig = SPELLINGS[spelling], _rig(warehouse, tmp_path)
    rig.api = Api(rig.world, token=KEY, login=LOGIN, password=PASSWORD, now=lambda: rig.clock.time.timestamp())
    for word in (PASSWORD, LOGIN):
        _strike(rig, Login(LOGIN, PASSWORD), word, spelled)
        assert not _leaks(_told(rig), spelled.traces(word, len(word)) | {word})
    names = rig.rows("select listed_by_credential from account_syncs where listed_by_credential is not null")
    assert names
    assert all(name.startswith("login:") for (name,) in names)


def _rig(engine: Engine, folder: Path) -> Rig:
    """A customer of five numbers whose key has characters that JSON, URLs and HTML escape."""
    rig = Rig(World(seed=2, customers=[CustomerPlan(numbers=5)], role="customer"), engine, archive=folder / "kept")
    rig.api = Api(rig.world, token=KEY, now=lambda: rig.clock.time.timestamp())
    return rig


def _strike(rig: Rig, credentials: Credentials, word: str, spelling: Spelling) -> None:
    """A run for each place in which the source echoes the word."""
    said = spelling.of(word)
    for name, (fault, code) in {**places(said, word), **more_places(said)}.items():
        rig.api.faults.add(fault, times=None)
        ended, said_of_it = how_it_ends(lambda: rig.sync(credentials=credentials, retry_max_seconds=0.01))
        rig.api.faults.clear()
        assert ended == code, (name, said_of_it)
        rig.events.append(Notice(message=said_of_it))


def _told(rig: Rig) -> list[str]:
    """All remains of the rig's runs: events, results, rows, and the archive."""
    rows = [f"{row} {tuple(row)}" for name in _TABLES for row in rig.rows(f"select * from {name}")]
    texts = [str(value) for name in _TABLES for row in rig.rows(f"select * from {name}") for value in row]
    assert rig.archive is not None
    return [*map(str, rig.events), *rows, *texts, *_archived(rig.archive)]


def _archived(folder: Path) -> list[str]:
    return [content.decode("utf-8", "replace") for content in everything_in(folder)]


@pytest.mark.soak
@pytest.mark.fault("E06")
def test_key_in_a_mixed_spelling(keyed: Source, warehouse_url: str, vnsync: Run, clean: Path) -> None:
    """The same for everything that commands print, log at their highest level, report and store."""
    spelling, url = SPELLINGS["turned"], warehouse_url
    there, said = Scene(keyed, url), spelling.of(KEY)
    echoes = {**places(said, KEY), **more_places(said)}
    assert len(echoes) >= 25
    outcomes = _tried(there, vnsync, echoes, *keyed.options)
    outcomes.append(vnsync("report", "--database-url", url, "--out", "page.html"))
    outcomes.append(vnsync("status", "--database-url", url, "--output", "json"))
    traces = spelling.traces(KEY, IN_A_ROW)
    texts = [*_texts(outcomes, there, Path("kept")), Path("page.html").read_text()]
    assert not _leaks(texts, traces | SPELLINGS[AS_ITS_OWN].traces(KEY, IN_A_ROW))
    assert _leaks(texts, {"****"})
    assert vnsync("verify", "kept").code == 0


@pytest.mark.fault("E06")
def test_short_words_of_records_are_data(customer: Source, vnsync: Run, clean: Path) -> None:
    """Records may contain a password of ten characters, or a login, by chance: they are archived unchanged."""
    api = Api(customer.world, token="unused-key-of-tests", login=LOGIN, password=PASSWORD)
    (account,) = customer.world.customer_ids
    customer.world.edit(account, customer.world.numbers(account)[0], comment=f"{PASSWORD} of {LOGIN}")
    with serve(api) as server:
        login = {"VNSYNC_API_URL": server.url, "VNSYNC_API_LOGIN": LOGIN, "VNSYNC_API_PASSWORD": PASSWORD}
        assert vnsync("sync", "--archive", "kept", **login).code == 0
    assert any(f"{PASSWORD} of {LOGIN}".encode() in content for content in everything_in(Path("kept")))
    assert vnsync("replay", "kept", "--database-url", "sqlite:///again.db").code == 0


@pytest.mark.fault("E06")
def test_key_file_masks_what_is_read(keyed: Source, vnsync: Run, clean: Path) -> None:
    """A key in a comment, in any spelling, is masked in the output of commands that only read."""
    (account,) = keyed.world.customer_ids
    for number, spelling in zip(keyed.world.numbers(account), ("slashes", "capitals", "percent"), strict=False):
        keyed.world.edit(account, number, comment=f"my {SPELLINGS[spelling].of(KEY)}", name="marked")
    assert vnsync("sync", *keyed.options).code == 0
    file = {"VNSYNC_API_TOKEN_FILE": keyed.options[-1]}
    shown = vnsync("changes", "--details", "--output", "csv", **file)
    assert "marked" in shown.out
    assert not _leaks([shown.out], {t for s in SPELLINGS.values() for t in s.traces(KEY, IN_A_ROW)})
    Path("vnsync.db").unlink()


# -- the search itself


_ALPHABET = string.ascii_letters + string.digits + "/+=_-.~\\\"'&%$ #Дж"
_SPELLINGS = st.sampled_from([s for name, s in SPELLINGS.items() if name != "first twelve"])


@given(
    st.text(_ALPHABET, min_size=4, max_size=64),
    st.lists(_SPELLINGS, min_size=1, max_size=3),
    st.text("ab/%\\<Ж ", max_size=9),
)
@pytest.mark.fault("E06")
def test_any_word_is_found(word: str, spellings: list[Spelling], around: str) -> None:
    """For any word, in any mixture of spellings: no part of it is left."""
    folded = Word.of(word)
    assume(folded.folded and not re.search(r"\\+[ux]", word.lower()))  # such a word is a spelling of another
    spelled = "".join(spellings[i % len(spellings)].character(c) for i, c in enumerate(word))
    redaction = Redaction()
    redaction.add(word)
    shown = redaction.hidden(f"{around} {spelled} {around}")
    assert "****" in shown
    assert spelled not in shown
    assert not holds(shown.replace("****", "\0").encode("utf-8", "surrogatepass"), [folded])


@given(st.text(_ALPHABET, max_size=80))
@pytest.mark.fault("E06")
def test_places_are_in_order_and_apart(text: str) -> None:
    """Places never overlap and lie within the text."""
    found = parts_of(text.encode(), [Word.of("abc"), Word.of("/"), Word.of("Ж")])
    edges = [edge for part in found for edge in part]
    assert edges == sorted(edges)
    assert all(a < b for a, b in found)
    assert not edges or edges[-1] <= len(text.encode())


@pytest.mark.fault("E06")
def test_less_than_twelve_characters_of_a_key_stay() -> None:
    """Eleven characters may occur by chance; an answer without any match is not copied."""
    redaction = Redaction()
    redaction.add(KEY)
    assert redaction.hidden(f"x {KEY[3:14]} y") == f"x {KEY[3:14]} y"
    assert redaction.hidden(f"x {KEY[3:15]} y") == "x **** y"
    body = b'{"result": {"data": []}}'
    assert redaction.hidden_in(body) is body
