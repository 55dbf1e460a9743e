"""Settings, the only reader of the environment. Of option, environment, config file and default, the first given wins.

`.env` files and secret folders are not read. Secrets are masked wherever they are shown; see `Loaded.rows`.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from urllib.parse import quote

from etl.config import urls
from etl.config.layers import PREFIX, Layer, Origin, merged, variable_name
from etl.config.secret_file import foreign, read_secret, readable_by_others, shown_path
from etl.config.secrets import Secret
from etl.config.validators import Accepted, checked, number, one_of, pairs, path, plain, revealed, secret, text
from etl.errors import Misconfigured

DEFAULT_FILE = Path("vnsync.toml")
MASK = "****"
SECRETS = ("api_token", "api_password", "ping_url")

_SHARE = number(float, lambda n: 0 < n <= 1)
_SECONDS = number(float, lambda n: 0 < n < math.inf)
_BRANDS = ", ".join(urls.HOSTS)
_WORKERS = number(int, lambda n: 1 <= n <= 32)
_DEFAULT_DATABASE = Secret("sqlite:///vnsync.db")


def _database(value: object) -> Secret:
    url = urls.database_url(revealed(value))
    start, home, file = url.partition(":///~")
    if home and start.startswith("sqlite"):
        file, mark, query = file.partition("?")
        url = f"{start}:///{quote(str(path('~' + file)))}{mark}{query}"
    return Secret(url)


def _ping(value: object) -> Secret:
    return Secret(urls.ping_url(text(value)))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, each with a description of the values that it accepts."""

    api_url: Annotated[
        str,
        Accepted(f"{_BRANDS}, or an https URL with the version, such as .../v2.0", checked(urls.api_url)),
    ] = urls.HOSTS["callgear"]
    api_token: Annotated[Secret | None, Accepted("a permanent key of the Data API", secret)] = None
    api_token_file: Annotated[Path | None, Accepted("the path of a file that holds the key alone", path)] = None
    api_login: Annotated[str | None, Accepted("the login of a user", text)] = None
    api_password: Annotated[Secret | None, Accepted("the password of that user", secret)] = None
    api_password_file: Annotated[Path | None, Accepted("the path of a file that holds the password alone", path)] = None
    database_url: Annotated[Secret, Accepted("sqlite:///FILE or postgresql://USER@HOST/DATABASE", _database)] = (
        _DEFAULT_DATABASE
    )
    database_schema: Annotated[str | None, Accepted("the name of a PostgreSQL schema", checked(urls.schema_name))] = (
        None
    )
    archive: Annotated[Path | None, Accepted("the path of a folder of its own", path)] = None
    max_close_share: Annotated[float, Accepted("a share above 0 and up to 1", _SHARE)] = 0.5
    retry_max_seconds: Annotated[float, Accepted("seconds above 0", _SECONDS)] = 300.0
    concurrency: Annotated[int, Accepted("a whole number from 1 to 32", _WORKERS)] = 4
    share_points: Annotated[str, Accepted("yes or no", one_of("yes", "no"))] = "no"
    users: Annotated[
        Mapping[int, int], Accepted("the user of an agent's customer, as CUSTOMER=USER such as 51=512", pairs)
    ] = field(default_factory=dict)
    ping_url: Annotated[Secret | None, Accepted("the https URL of a check, such as Healthchecks gives", _ping)] = None
    openlineage_file: Annotated[Path | None, Accepted("the path of a file to which lines are added", path)] = None
    log_format: Annotated[str, Accepted("text or json", one_of("text", "json"))] = "text"
    log_level: Annotated[
        str, Accepted("debug, info, warning or error", one_of("debug", "info", "warning", "error"))
    ] = "info"

    def token(self) -> Secret | None:
        """The permanent key, from the setting or its file; None if no key is set. Raises `Misconfigured`."""
        return self.api_token or (read_secret(self.api_token_file) if self.api_token_file else None)

    def session_login(self) -> tuple[str, Secret] | None:
        """Login and password of a session; None if no login is set. Raises `Misconfigured`."""
        password = self.api_password or (read_secret(self.api_password_file) if self.api_password_file else None)
        if not self.api_login and not password:
            return None
        if not self.api_login or not password:
            raise Misconfigured(
                "a session login needs VNSYNC_API_LOGIN and VNSYNC_API_PASSWORD_FILE; one of them is not set",
                remedy="Set both, or a permanent key with VNSYNC_API_TOKEN_FILE.",
            )
        return self.api_login, password


DECLARED: Mapping[str, Accepted] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(Settings, include_extras=True).items()
}
"""Accepted values of each setting, by its name."""


@dataclass(frozen=True)
class Loaded:
    """Settings in force, and the origin of each; `config_file`: None if none was read."""

    settings: Settings
    origins: Mapping[str, Origin]
    config_file: Path | None = None

    def rows(self) -> Iterator[tuple[str, str | float | None, str]]:
        """Name, value with secrets masked, and origin of every setting; a value that is not set is None."""
        for name in DECLARED:
            yield name, shown(name, getattr(self.settings, name)), self.origins[name].in_words(name)


def load(
    given: Mapping[str, Any] | None = None,
    config: Path | None = None,
    *,
    kind: Literal["option", "argument"] = "option",
) -> Loaded:
    """Settings from options (`given`, None for those not given), environment, config file and defaults.

    `kind`: whether `given` are options of a command line or arguments of a call from Python.

    Raises `Misconfigured`, in one line that names the setting, its origin and the accepted values.
    """
    file = config or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    layers = [
        Layer(Origin(kind), {k: v for k, v in (given or {}).items() if v is not None}),
        Layer(Origin("environment"), _environment()),
    ]
    if file:
        layers.append(Layer(Origin("file", file), _file(file, trusted=config is not None)))
    values, origins = merged(layers)
    settings = _validated(values, origins)
    return Loaded(settings, {n: origins.get(n, Origin("default")) for n in DECLARED}, file)


def asked_log_format(given: Mapping[str, Any]) -> str:
    """The log format that options and environment ask for, unchecked, for errors in the settings themselves."""
    return str(given.get("log_format") or os.environ.get(f"{PREFIX}LOG_FORMAT") or "text")


def shown(name: str, value: object) -> str | float | None:
    """A setting's value for people: secrets masked, a database URL without its password; None stays None."""
    if isinstance(value, Secret):
        return urls.masked(value.get_secret_value(), MASK) if name == "database_url" else MASK
    if isinstance(value, Path):
        return shown_path(value) if name.endswith("_file") else str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{account}={user}" for account, user in sorted(value.items())) or None
    if value is None or isinstance(value, float | int):
        return value
    return str(value)


def _environment() -> dict[str, Any]:
    known = {variable_name(n) for n in DECLARED}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            raise _unknown(name, known, "in the environment")
    written = {name.upper(): value for name, value in os.environ.items()}
    return {n: written[variable_name(n)] for n in DECLARED if variable_name(n) in written}


def _file(path: Path, *, trusted: bool) -> dict[str, Any]:
    import tomllib  # only where there is a file

    try:
        values = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        cause = f"the config file {path} cannot be read: {error.strerror}"
        raise Misconfigured(cause, remedy="Check its path and permissions.") from None
    except (ValueError, RecursionError) as error:
        cause = f"the config file {path} is not TOML in UTF-8: {_plain(error)}"
        raise Misconfigured(cause, remedy="Correct that line.") from None
    for name in values:
        if name not in DECLARED:
            raise _unknown(name, set(DECLARED), f"in {path}")
    _refuse_loose(path, values)
    if not trusted:
        _refuse_foreign(path)
    return values


def _refuse_foreign(path: Path) -> None:
    """Refuse a file of the current folder that is not the user's own: its settings decide where the token is sent."""
    reason = foreign(path)
    if reason:
        raise Misconfigured(
            f"{path} of the current folder is not trusted: {reason}",
            remedy=f"If you trust it, name it with --config {path}; or `chmod o-w`, `chown` it.",
        )


def _plain(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "a byte that is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _refuse_loose(path: Path, values: Mapping[str, Any]) -> None:
    secret = [n for n in SECRETS if n in values]
    if urls.has_password(str(values.get("database_url", ""))):
        secret.append("database_url")
    if secret and readable_by_others(path):
        raise Misconfigured(
            f"{path} holds a secret ({', '.join(secret)}) and is readable by other users",
            remedy=f"Run `chmod 600 {path}`.",
        )


def _unknown(name: str, known: set[str], where: str) -> Misconfigured:
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)[0]
    return Misconfigured(
        f"unknown setting {name} {where}; the nearest known one is {near}",
        remedy="Correct or remove it; see `vnsync config`.",
    )


def _validated(values: dict[str, Any], origins: Mapping[str, Origin]) -> Settings:
    for name, value in values.items():
        if isinstance(value, str | Secret) and not revealed(value).strip():
            raise _bad(name, "is empty", origins[name])
    settings = Settings(**{name: _read(name, value, origins[name]) for name, value in values.items()})
    if settings.database_schema and settings.database_url.get_secret_value().startswith("sqlite"):
        label = origins["database_schema"].label("database_schema")
        raise Misconfigured(f"{label} is set, but the database is SQLite, which has no schemas", remedy="Unset it.")
    return settings


def _read(name: str, value: object, origin: Origin) -> Any:
    """The value in the setting's type. A refused text is shown, unless it may contain a secret."""
    try:
        return DECLARED[name].read(plain(value))
    except TypeError:
        secret = name in (*SECRETS, "database_url")
        raise _bad(name, "is not usable" if secret else f"is {str(value)[:80]!r}", origin) from None
    except ValueError as error:
        raise _bad(name, f"is refused: {error}", origin) from None


def _bad(name: str, problem: str, origin: Origin) -> Misconfigured:
    return Misconfigured(f"{origin.label(name)} {problem}", remedy=f"Accepted: {DECLARED[name].description}.")
