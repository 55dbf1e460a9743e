"""Settings: the only reader of the environment. Of option, environment, config file and default, the first given wins.

Neither `.env` files nor secret folders are read. Secrets are masked wherever they are shown; see `Loaded.rows`.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from etl import urls
from etl.errors import Misconfigured
from etl.secret_file import foreign, read_secret, readable_by_others, shown_path

PREFIX = "VNSYNC_"
DEFAULT_FILE = Path("vnsync.toml")
MASK = "****"

KEY = ("api_token", "api_token_file")
SESSION = ("api_login", "api_password", "api_password_file")
RIVALS = (KEY, ("api_password", "api_password_file"))


def _database_secret(value: SecretStr) -> SecretStr:
    return SecretStr(urls.database_url(value.get_secret_value()))


class Settings(BaseModel):
    """Everything that can be set. Each field's description says what is accepted; error messages repeat it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    api_url: Annotated[str, AfterValidator(urls.api_url)] = Field(
        urls.HOSTS["callgear"], description="callgear, uis, comagic, or an https URL with the version, such as .../v2.0"
    )
    api_token: SecretStr | None = Field(None, description="a permanent key of the Data API")
    api_token_file: Path | None = Field(None, description="the path of a file that holds the key alone")
    api_login: str | None = Field(None, description="the login of a user", min_length=1)
    api_password: SecretStr | None = Field(None, description="the password of that user")
    api_password_file: Path | None = Field(None, description="the path of a file that holds the password alone")
    database_url: Annotated[SecretStr, AfterValidator(_database_secret)] = Field(
        SecretStr("sqlite:///vnsync.db"), description="sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    )
    database_schema: Annotated[str, AfterValidator(urls.schema_name)] | None = Field(
        None, description="the name of a PostgreSQL schema"
    )
    archive: Path | None = Field(None, description="the path of a folder of its own")
    max_close_share: float = Field(0.5, gt=0, le=1, description="a share above 0 and up to 1")
    retry_max_seconds: float = Field(300.0, gt=0, allow_inf_nan=False, description="seconds above 0")
    concurrency: int = Field(4, ge=1, le=32, description="a whole number from 1 to 32")
    log_format: Literal["text", "json"] = Field("text", description="text or json")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")

    def token(self) -> SecretStr | None:
        """The permanent key, from the setting or its file; None when no key is set. Raises Misconfigured."""
        return self.api_token or (read_secret(self.api_token_file) if self.api_token_file else None)

    def session_login(self) -> tuple[str, SecretStr] | None:
        """Login and password of a session, None when no login is set. Raises Misconfigured."""
        password = self.api_password or (read_secret(self.api_password_file) if self.api_password_file else None)
        if not self.api_login and not password:
            return None
        if not self.api_login or not password:
            raise Misconfigured(
                "a session login needs VNSYNC_API_LOGIN and VNSYNC_API_PASSWORD_FILE; one of them is not set",
                remedy="Set both, or a permanent key with VNSYNC_API_TOKEN_FILE.",
            )
        return self.api_login, password


@dataclass(frozen=True)
class Origin:
    """Where a value comes from: an option, the environment, a file, or the default."""

    kind: Literal["option", "environment", "file", "default"]
    file: Path | None = None

    def label(self, name: str) -> str:
        """The name under which the user wrote the setting `name` there."""
        if self.kind == "option":
            return option_name(name)
        if self.kind == "environment":
            return variable_name(name)
        return f"{name} in {self.file}" if self.file else name

    def told(self, name: str) -> str:
        """The source in words, for the listing of all settings."""
        if self.kind == "file":
            return f"file {self.file}"
        return self.kind if self.kind == "default" else f"{self.kind} {self.label(name)}"


@dataclass(frozen=True)
class Loaded:
    """The settings in force and the origin of each; `config_file` is None when none was read."""

    settings: Settings
    origins: Mapping[str, Origin]
    config_file: Path | None = None

    def rows(self) -> Iterator[tuple[str, str | float | None, str]]:
        """Name, value with secrets masked, and source of every setting; None is a value that is not set."""
        for name in Settings.model_fields:
            yield name, shown(name, getattr(self.settings, name)), self.origins[name].told(name)


@dataclass(frozen=True)
class Layer:
    """The values that one source gives, by setting."""

    origin: Origin
    values: dict[str, Any] = field(repr=False)


def load(given: Mapping[str, Any] | None = None, config: Path | None = None) -> Loaded:
    """Settings from options (`given`, None where not given), environment, config file and defaults.

    Raises Misconfigured, in one line that names the setting, its source and what is accepted.
    """
    file = config or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    layers = [
        Layer(Origin("option"), {k: v for k, v in (given or {}).items() if v is not None}),
        Layer(Origin("environment"), _environment()),
    ]
    if file:
        layers.append(Layer(Origin("file", file), _file(file, trusted=config is not None)))
    values, origins = _merge(layers)
    settings = _validated(values, origins)
    return Loaded(settings, {n: origins.get(n, Origin("default")) for n in Settings.model_fields}, file)


def asked_log_format(given: Mapping[str, Any]) -> str:
    """The log format that options and environment ask for, unchecked: for errors in the settings themselves."""
    return str(given.get("log_format") or os.environ.get(f"{PREFIX}LOG_FORMAT") or "text")


def shown(name: str, value: object) -> str | float | None:
    """A setting's value for people: secrets masked, a database URL without its password; None stays None."""
    if isinstance(value, SecretStr):
        return urls.masked(value.get_secret_value(), MASK) if name == "database_url" else MASK
    if isinstance(value, Path):
        return shown_path(value) if name.endswith("_file") else str(value)
    if value is None or isinstance(value, float | int):
        return value
    return str(value)


def variable_name(name: str) -> str:
    """The environment variable of the setting `name`."""
    return PREFIX + name.upper()


def option_name(name: str) -> str:
    """The command-line option of the setting `name`."""
    return "--" + name.replace("_", "-")


def _environment() -> dict[str, Any]:
    known = {variable_name(n) for n in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            raise _unknown(name, known, "in the environment")
    given = {name.upper(): value for name, value in os.environ.items()}
    return {name: given[variable_name(name)] for name in Settings.model_fields if variable_name(name) in given}


def _file(path: Path, *, trusted: bool) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        cause = f"the config file {path} cannot be read: {error.strerror}"
        raise Misconfigured(cause, remedy="Check its path and permissions.") from None
    except ValueError as error:
        cause = f"the config file {path} is not TOML in UTF-8: {_plain(error)}"
        raise Misconfigured(cause, remedy="Correct that line.") from None
    for name in values:
        if name not in Settings.model_fields:
            raise _unknown(name, set(Settings.model_fields), f"in {path}")
    _refuse_loose(path, values)
    if not trusted:
        _refuse_foreign(path)
    return values


def _refuse_foreign(path: Path) -> None:
    """Whoever writes the settings says where the token goes. A file that merely lies here has to be the user's own."""
    reason = foreign(path)
    if reason:
        raise Misconfigured(
            f"{path} of the current folder is not trusted: {reason}",
            remedy=f"If it is right, say so with --config {path}; or `chmod o-w`, `chown` it.",
        )


def _plain(error: ValueError) -> str:
    return "a byte that is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _refuse_loose(path: Path, values: Mapping[str, Any]) -> None:
    secret = [n for n in ("api_token", "api_password") if n in values]
    if urls.has_password(str(values.get("database_url", ""))):
        secret.append("database_url")
    if secret and readable_by_others(path):
        raise Misconfigured(
            f"{path} holds a secret ({', '.join(secret)}) and others may read it", remedy=f"Run `chmod 600 {path}`."
        )


def _unknown(name: str, known: set[str], where: str) -> Misconfigured:
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)[0]
    return Misconfigured(
        f"unknown setting {name} {where}; the nearest known one is {near}",
        remedy="Correct or remove it; see `vnsync config`.",
    )


def _merge(layers: list[Layer]) -> tuple[dict[str, Any], dict[str, Origin]]:
    """The first layer wins; a kind of login, and of two rivals one, is decided by the first layer that gives any."""
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    dropped: set[str] = set()
    for layer in layers:
        _refuse_rivals(layer)
        for name, value in layer.values.items():
            if name not in values and name not in dropped:
                values[name], origins[name] = value, layer.origin
        dropped |= _excluded(layer.values)
    return values, origins


def _excluded(names: Mapping[str, Any]) -> set[str]:
    """What lower layers can no longer give, because these names stand against it."""
    out: set[str] = set()
    if any(n in names for n in KEY):
        out |= {*KEY, *SESSION}
    if any(n in names for n in SESSION):
        out |= {*KEY}
    if any(n in names for n in RIVALS[1]):
        out |= {*RIVALS[1]}
    return out


def _refuse_rivals(layer: Layer) -> None:
    pairs = [(first, second) for first, second in RIVALS] + [(k, s) for k in KEY for s in SESSION]
    for first, second in pairs:
        if first in layer.values and second in layer.values:
            raise Misconfigured(
                f"{layer.origin.label(first)} and {layer.origin.label(second)} are both set", remedy="Keep one of them."
            )


def _validated(values: dict[str, Any], origins: Mapping[str, Origin]) -> Settings:
    for name, value in values.items():
        if isinstance(value, str) and not value.strip():
            raise _bad(name, "is empty", origins[name])
    try:
        settings = Settings(**values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0])
        raise _bad(name, _problem(name, values[name], first), origins[name]) from None
    if settings.database_schema and settings.database_url.get_secret_value().startswith("sqlite"):
        label = origins["database_schema"].label("database_schema")
        raise Misconfigured(f"{label} is set, but the database is SQLite, which has no schemas", remedy="Unset it.")
    return settings


def _problem(name: str, value: object, error: Mapping[str, Any]) -> str:
    """What is wrong with the value; its text is shown unless it may hold a secret."""
    if error["type"] == "value_error":
        return f"is refused: {error['ctx']['error']}"
    secret = name in ("api_token", "api_password", "database_url")
    return "is not usable" if secret else f"is {str(value)[:80]!r}"


def _bad(name: str, problem: str, origin: Origin) -> Misconfigured:
    return Misconfigured(
        f"{origin.label(name)} {problem}", remedy=f"Accepted: {Settings.model_fields[name].description}."
    )
