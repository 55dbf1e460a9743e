"""Settings: precedence, what is accepted, and that no secret shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.config.secrets import Secret
from etl.config.settings import DECLARED, load
from etl.config.urls import HOSTS
from etl.errors import Misconfigured

CANARY = "c4nary-5ecret"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty current folder and no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in DECLARED:
        monkeypatch.delenv(f"VNSYNC_{name.upper()}", raising=False)
    return tmp_path


def config(text: str, mode: int = 0o600, name: str = "vnsync.toml") -> Path:
    """A config file in the current folder."""
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def refusal(given: dict[str, str] | None = None, path: Path | None = None) -> Misconfigured:
    """The error that loading raises."""
    with pytest.raises(Misconfigured) as caught:
        load(given, path)
    assert caught.value.exit_code == 78
    return caught.value


def test_defaults_need_nothing() -> None:
    """With nothing set, the defaults of the contract are in force and say so."""
    loaded = load()
    assert loaded.settings.api_url == HOSTS["callgear"]
    assert loaded.settings.database_url.get_secret_value() == "sqlite:///vnsync.db"
    assert (loaded.settings.max_close_share, loaded.settings.retry_max_seconds) == (0.5, 300.0)
    assert {source for _, _, source in loaded.rows()} == {"default"}


def test_archive_is_a_folder_that_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive is off by default; a long name of a folder that is not there yet is not taken for a secret."""
    assert load().settings.archive is None
    monkeypatch.setenv("VNSYNC_ARCHIVE", "vnsync-archive-of-2026")
    assert ("archive", "vnsync-archive-of-2026", "environment VNSYNC_ARCHIVE") in list(load().rows())
    assert load({"archive": "/a"}).settings.archive == Path("/a")


def test_first_of_option_environment_file_default_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each source beats those after it, and the listing names the one that won."""
    sources = []
    for given_by in ("default", "file", "environment", "option"):
        if given_by == "file":
            config("max_close_share = 0.1")
        if given_by == "environment":
            monkeypatch.setenv("VNSYNC_MAX_CLOSE_SHARE", "0.2")
        loaded = load({"max_close_share": "0.3" if given_by == "option" else None})
        sources += [(v, s) for n, v, s in loaded.rows() if n == "max_close_share"]
    assert sources == [
        (0.5, "default"),
        (0.1, "file vnsync.toml"),
        (0.2, "environment VNSYNC_MAX_CLOSE_SHARE"),
        (0.3, "option --max-close-share"),
    ]


def test_config_option_replaces_the_folder_s_file() -> None:
    """With --config, the vnsync.toml of the current folder is not read."""
    config('api_url = "uis"')
    other = config('log_level = "error"', name="other.toml")
    loaded = load({}, other)
    assert (loaded.settings.api_url, loaded.settings.log_level) == (HOSTS["callgear"], "error")


def test_dotenv_is_not_read() -> None:
    """A .env file in the current folder has no say."""
    config("VNSYNC_API_URL=uis\nAPI_URL=uis\n", name=".env")
    assert load().settings.api_url == HOSTS["callgear"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_close_share", "0"),
        ("max_close_share", "1.01"),
        ("max_close_share", "nan"),
        ("max_close_share", "half"),
        ("retry_max_seconds", "0"),
        ("retry_max_seconds", "-1"),
        ("retry_max_seconds", "inf"),
        ("log_format", "xml"),
        ("log_level", "loud"),
        ("database_schema", "a-b"),
        ("database_schema", "pg_catalog"),
    ],
)
def test_bad_value_names_setting_source_and_what_is_accepted(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad value is refused alike from every source, under the name that the user wrote."""
    accepted = DECLARED[name].description
    by_option = refusal({name: value})
    assert str(by_option).startswith(f"--{name.replace('_', '-')} is ")
    assert by_option.remedy == f"Accepted: {accepted}."
    path = config(f'{name} = "{value}"')
    assert str(refusal()).startswith(f"{name} in vnsync.toml is ")
    path.unlink()
    monkeypatch.setenv(f"VNSYNC_{name.upper()}", value)
    assert str(refusal()).startswith(f"VNSYNC_{name.upper()} is ")


@pytest.mark.parametrize("name", DECLARED)
def test_empty_value_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that was meant to be filled and was not never means the default."""
    monkeypatch.setenv(f"VNSYNC_{name.upper()}", " ")
    assert str(refusal()) == f"VNSYNC_{name.upper()} is empty"


def test_unknown_variable_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable is refused, with the name that was probably meant."""
    monkeypatch.setenv("VNSYNC_DATABSE_URL", "postgresql://h/d")
    assert "unknown setting VNSYNC_DATABSE_URL in the environment" in str(refusal())
    assert "VNSYNC_DATABASE_URL" in str(refusal())


def test_unknown_key_names_the_nearest() -> None:
    """A misspelt key of the config file is refused, with the name that was probably meant."""
    config("max_close_shar = 0.3")
    assert str(refusal()) == "unknown setting max_close_shar in vnsync.toml; the nearest known one is max_close_share"


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"api_url = \nlog_level = 1", "line 1"), (b"\xff\xfe", "not UTF-8"), (None, "No such file or directory")],
)
def test_unreadable_config_file_is_refused(content: bytes | None, told: str) -> None:
    """A config file that is missing, not TOML or not text is refused, and the message says which."""
    path = Path("mine.toml")
    if content is not None:
        path.write_bytes(content)
    error = str(refusal({}, path))
    assert "mine.toml" in error
    assert told in error


def test_token_file_is_stripped(clean: Path) -> None:
    """The token is the file's one word, without the newline that editors add."""
    (clean / "token").write_text(f"\n  {CANARY}\r\n")
    token = load({"api_token_file": "token"}).settings.token()
    assert token is not None
    assert token.get_secret_value() == CANARY


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"\xff\xfe\x00", "not text"),
        (b"two words", "more than one word"),
        (b"two\nlines", "more than one word"),
        (b"bell\x07", "more than one word"),
    ],
)
def test_unusable_token_file_is_refused_with_its_path(content: bytes | None, told: str) -> None:
    """A token file that is missing, empty or no single word is refused before any request."""
    path = Path("token")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Misconfigured, match=told) as caught:
        load({"api_token_file": "token"}).settings.token()
    assert "the secret file token " in str(caught.value)


def test_token_file_may_not_be_a_folder(clean: Path) -> None:
    """A folder in place of the token file is refused."""
    (clean / "token").mkdir()
    with pytest.raises(Misconfigured, match="it is a folder, not a file"):
        load({"api_token_file": "token"}).settings.token()


@pytest.mark.parametrize(
    "line",
    [f'api_token = "{CANARY}"', f'api_password = "{CANARY}"', f'database_url = "postgresql://u:{CANARY}@h/d"'],
)
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o622])
def test_secret_in_a_file_that_others_may_read_is_refused(line: str, mode: int) -> None:
    """The remedy is the command that mends it; with that mode, the same file is accepted."""
    path = config(line, mode)
    error = refusal()
    assert error.remedy == "Run `chmod 600 vnsync.toml`."
    assert CANARY not in str(error)
    path.chmod(0o600)
    assert load().config_file == path


def test_file_without_secrets_may_be_read_by_all() -> None:
    """A config file that holds no secret needs no special mode."""
    config('database_url = "postgresql://u@h/d"\napi_token_file = "token"', 0o644)
    assert load().settings.api_token_file == Path("token")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("api_token", "api_token_file"),
        ("api_password", "api_password_file"),
        ("api_token", "api_login"),
        ("api_token_file", "api_password"),
    ],
)
def test_two_ways_to_log_in_from_one_source_are_refused(
    first: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two secrets for one purpose are refused, so it is never unclear which one is used."""
    for name in (first, second):
        monkeypatch.setenv(f"VNSYNC_{name.upper()}", "x")
    assert str(refusal()) == f"VNSYNC_{first.upper()} and VNSYNC_{second.upper()} are both set"


def test_higher_source_decides_how_to_log_in(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token file given as an option beats a token, and a login, from further down."""
    (clean / "token").write_text("from-file")
    monkeypatch.setenv("VNSYNC_API_TOKEN", "from-environment")
    config('api_login = "me"\napi_password = "word"')
    loaded = load({"api_token_file": "token"})
    token = loaded.settings.token()
    assert token is not None
    assert token.get_secret_value() == "from-file"
    assert loaded.settings.session_login() is None


def test_login_and_password_may_come_from_two_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login in the config file and its password in the environment belong together."""
    config('api_login = "me"')
    monkeypatch.setenv("VNSYNC_API_PASSWORD", CANARY)
    session = load().settings.session_login()
    assert session is not None
    assert (session[0], session[1].get_secret_value()) == ("me", CANARY)


@pytest.mark.parametrize("name", ["api_login", "api_password"])
def test_half_a_login_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login without its password, or a password alone, is refused, and the error names the missing setting."""
    monkeypatch.setenv(f"VNSYNC_{name.upper()}", "x")
    with pytest.raises(Misconfigured, match="VNSYNC_API_LOGIN and VNSYNC_API_PASSWORD_FILE"):
        load().settings.session_login()


def test_schema_needs_postgresql() -> None:
    """A schema for SQLite, which has none, is refused instead of ignored."""
    assert str(refusal({"database_schema": "calls"})).startswith("--database-schema is set, but the database is SQLite")
    loaded = load({"database_schema": "calls", "database_url": "postgresql://h/d"})
    assert loaded.settings.database_schema == "calls"


def test_no_secret_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings' text forms nor the listing show a secret; the listing shows that it is set."""
    monkeypatch.setenv("VNSYNC_API_LOGIN", "me")
    monkeypatch.setenv("VNSYNC_API_PASSWORD", CANARY)
    monkeypatch.setenv("VNSYNC_DATABASE_URL", f"postgresql://u:{CANARY}@h/d?password={CANARY}")
    loaded = load()
    rows = {name: value for name, value, _ in loaded.rows()}
    assert CANARY not in f"{loaded!r} {loaded} {loaded.settings!r} {loaded.settings} {rows}"
    assert rows["api_password"] == "****"
    assert rows["database_url"] == "postgresql://u:****@h/d?password=****"


def test_refused_secret_does_not_show() -> None:
    """An unusable database URL is not repeated, for it may hold a password."""
    error = refusal({"database_url": f"mysql://u:{CANARY}@h/d"})
    assert CANARY not in f"{error} {error.remedy}"


def test_brand_s_name_stands_for_its_url() -> None:
    """The names of the brands are resolved to their hosts."""
    assert [load({"api_url": name}).settings.api_url for name in HOSTS] == list(HOSTS.values())


@pytest.mark.parametrize("name", ["api_url", "database_url"])
def test_refused_url_says_what_is_accepted(name: str) -> None:
    """The error for a refused URL states the reason and the accepted forms."""
    error = refusal({name: "ftp://somewhere"})
    assert str(error).startswith(f"--{name.replace('_', '-')} is refused: it is ")
    assert error.remedy == f"Accepted: {DECLARED[name].description}."


def test_a_wrapped_secret_is_read_as_its_text() -> None:
    """A caller may give secrets so that no traceback shows them: stripped and checked as any text, and never shown."""
    loaded = load({"api_token": Secret(" k3y\n"), "database_url": Secret("postgresql://u:pw@h/d")}, kind="argument")
    assert loaded.settings.api_token == Secret("k3y")
    assert loaded.settings.database_url.get_secret_value() == "postgresql://u:pw@h/d"
    shown = {name: (value, origin) for name, value, origin in loaded.rows()}
    assert shown["api_token"] == ("****", "argument api_token")
    assert shown["database_url"] == ("postgresql://u:****@h/d", "argument database_url")
    for refused in (Secret(" "), Secret("a\x00b"), 7):
        with pytest.raises(Misconfigured, match=r"^argument api_token "):
            load({"api_token": refused}, kind="argument")
