"""G07, G11: each value of a setting is used as intended, or refused with 78 and the setting's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.config.settings import DECLARED, load
from etl.errors import Misconfigured
from tests.support.running import TOKEN, Run, Source

pytestmark = pytest.mark.usefixtures("clean")

NO_RECORDER = "~nobody-of-that-name"
PATHS = [name for name, accepted in DECLARED.items() if "path" in accepted.description]
TEXTS = dict.fromkeys(PATHS, "x") | {
    "api_url": "uis",
    "api_token": TOKEN,
    "api_login": "me",
    "api_password": "a word",
    "database_url": "sqlite:///w.db",
    "database_schema": "calls",
    "max_close_share": "0.25",
    "retry_max_seconds": "60",
    "concurrency": "8",
    "share_points": "yes",
    "users": "51=512",
    "ping_url": "https://checks.example/ping/0f1e2d3c-4b5a",
    "log_format": "json",
    "log_level": "error",
}
"""A valid value of each setting."""


@pytest.mark.fault("G07")
def test_every_setting_has_a_value_here() -> None:
    """The tests below cover every setting."""
    assert TEXTS.keys() == DECLARED.keys()


@pytest.mark.parametrize("name", [*PATHS, "database_url"])
@pytest.mark.fault("G07")
def test_a_home_that_is_not_known(name: str, vnsync: Run) -> None:
    """A ~ without a home folder, as in a container without HOME, is refused by every setting that is a path."""
    value = f"sqlite:///{NO_RECORDER}/w.db" if name == "database_url" else f"{NO_RECORDER}/a"
    done = vnsync("config", **{f"VNSYNC_{name.upper()}": value})
    assert (done.code, f"VNSYNC_{name.upper()} is refused: the home folder" in done.error) == (78, True)


@pytest.mark.fault("G07")
def test_home_is_written_out_in_every_setting(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """~ means the same in all paths, also in a SQLite URL, for any characters of the home folder."""
    home = clean / "h%me"
    monkeypatch.setenv("HOME", str(home))
    for name in PATHS:
        assert getattr(load({name: "~/a"}).settings, name) == home / "a"
    for url, expected in (("sqlite:///~/w.db", "/w.db"), ("sqlite:///~/w.db?timeout=2.5", "/w.db?timeout=2.5")):
        found = load({"database_url": url}).settings.database_url.get_secret_value()
        assert found == f"sqlite:///{clean}/h%25me{expected}"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///w.db?timeout=abc",
        "sqlite:///w.db?timeout=",
        "sqlite:///w.db?timeout=nan",
        "sqlite:///w.db?timeout=-1",
        "sqlite:///w.db?cached_statements=abc",
        "sqlite:///w.db?nosuch=1",
        "sqlite:///file:w.db?uri=true&mode=ro",
        "postgresql://etl@[::1/calls",
        "postgresql://etl@host:port/calls",
        "postgresql://etl@h1:1,h2:port/calls",
    ],
)
@pytest.mark.fault("G07")
def test_a_malformed_database_url(url: str, vnsync: Run) -> None:
    """A URL that no driver accepts is refused before a connection, under the name of its setting."""
    done = vnsync("sync", VNSYNC_DATABASE_URL=url, VNSYNC_API_TOKEN=TOKEN)
    assert (done.code, done.error.startswith("vnsync: error: VNSYNC_DATABASE_URL is refused: ")) == (78, True)


@pytest.mark.parametrize("command", [("replay",), ("archive", "prune", "--keep", "1d")])
@pytest.mark.fault("G07")
def test_an_archive_named_as_an_argument(command: tuple[str, ...], vnsync: Run) -> None:
    """An argument is read like the setting; its errors are usage errors, not bugs."""
    done = vnsync(*command, f"{NO_RECORDER}/a")
    assert (done.code, "the home folder" in done.error) == (2, True)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", " \t"], ids=["cr", "lf", "crlf", "space"])
@pytest.mark.fault("G11")
def test_white_space_around_a_value(name: str, end: str, monkeypatch: pytest.MonkeyPatch, clean: Path) -> None:
    """One rule for all settings and sources: line ends and white space around a value are removed."""
    needed = {"database_url": "postgresql://etl@h/d"} if name == "database_schema" else {}
    wanted = getattr(load({name: TEXTS[name]} | needed).settings, name)
    assert getattr(load({name: TEXTS[name] + end} | needed).settings, name) == wanted
    monkeypatch.setenv(f"VNSYNC_{name.upper()}", end + TEXTS[name] + end)
    assert getattr(load(needed).settings, name) == wanted


@pytest.mark.parametrize("name", sorted(TEXTS.keys() - {"users"}))
@pytest.mark.parametrize("inside", ["\r", "\n", "\x00", "\x1b", "\udcff"], ids=["cr", "lf", "nul", "escape", "byte"])
@pytest.mark.fault("G11")
def test_control_characters_inside_a_value(name: str, inside: str) -> None:
    """Control characters are refused by every setting with its name; a possible secret is never shown."""
    half = len(TEXTS[name]) // 2 or 1
    value = f"{TEXTS[name][:half]}{inside}{TEXTS[name][half:]}z"
    with pytest.raises(Misconfigured, match="it has a line end, another control character") as caught:
        load({name: value})
    assert str(caught.value).startswith(f"--{name.replace('_', '-')} is refused: ")


@pytest.mark.fault("G11")
def test_a_key_from_windows_works(customer: Source, vnsync: Run, clean: Path) -> None:
    """A key with a line end, in the environment or in a file with a byte order mark, works: the sync succeeds."""
    url = customer.options[:2]
    assert vnsync("sync", *url, VNSYNC_API_TOKEN=f"{TOKEN}\r\n", VNSYNC_ARCHIVE="archive\r").code == 0
    assert sorted(p.name for p in clean.iterdir() if p.name.startswith("archive")) == ["archive"]
    file = clean / "key.txt"
    file.write_bytes(b"\xef\xbb\xbf" + TOKEN.encode() + b"\r\n")
    file.chmod(0o600)
    assert vnsync("sync", *url, VNSYNC_API_TOKEN_FILE=f"{file}\r").code == 0
    file.unlink()


@pytest.mark.fault("G07")
def test_home_is_written_out_on_the_command_line(customer: Source, vnsync: Run, clean: Path) -> None:
    """Shells do not expand the ~ of `--out=~/x`: every path on the command line is read like that of a setting."""
    home = clean / "home"
    home.mkdir()
    (home / "v.toml").write_text('log_level = "warning"\n')
    (home / "v.toml").chmod(0o600)
    here = {"HOME": str(home), "VNSYNC_DATABASE_URL": "sqlite:///~/w.db"}
    assert vnsync("sync", "--config=~/v.toml", *customer.options, **here).code == 0
    assert vnsync("report", "--out=~/page.html", **here).code == 0
    observed = vnsync("status", "--output", "json", **here).json["accounts"][0]["observed_at"]
    assert vnsync("snapshot", "--as-of", observed, "--out=~/snap", "--format", "csv", **here).code == 0
    assert vnsync("verify", "~/snap", **here).code == 0
    assert sorted(p.name for p in home.iterdir()) == ["page.html", "snap", "v.toml", "w.db"]
    assert not (clean / "~").exists()
