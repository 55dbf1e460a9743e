"""Options that commands share. `settings` reads them, the environment and the config file into one argument."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from etl.cli.paths import PATH
from etl.cli.state import State, current_state
from etl.errors import Usage

if TYPE_CHECKING:
    from etl.config.settings import Loaded

Command = TypeVar("Command", bound=Callable[..., Any])

LOG = ("log_format", "log_level")
DATABASE = ("database_url", "database_schema")
API = ("api_url", "api_token_file", "retry_max_seconds")

_OPTIONS = {"users": "--user"}
"""Options that may be given several times, each with one part of their setting (`layers.OPTIONS`)."""
_HELP = {
    "api_url": ("URL", "The Data API: callgear, uis, comagic, novofon, or an https URL with the version."),
    "api_token_file": ("FILE", "A file that holds the permanent key alone."),
    "retry_max_seconds": ("SECONDS", "How long one request may be retried before its account fails. Default 300."),
    "database_url": ("URL", "sqlite:///FILE or postgresql://... Default sqlite:///vnsync.db."),
    "database_schema": ("NAME", "The PostgreSQL schema. Default: the search path's."),
    "archive": ("DIR", "Keep every response in this folder, as received. Default: off."),
    "max_close_share": ("SHARE", "Hold an account when more than this share of its numbers is gone. Default 0.5."),
    "concurrency": ("N", "How many of an agent's accounts are listed at once, from 1 to 32. Default 4."),
    "share_points": ("yes|no", "Share the token's points with other processes on this warehouse. Default no."),
    "users": ("CUSTOMER=USER", "List an agent's customer through this user. Repeatable."),
    "openlineage_file": ("FILE", "Add OpenLineage's run events to this file, a line each. Default: off."),
    "log_format": ("text|json", "Format of the log on stderr."),
    "log_level": ("LEVEL", "debug, info, warning or error. Debug adds tracebacks."),
}


def settings(*names: str) -> Callable[[Command], Command]:
    """Give the command the options of these settings and `--config`; it is called with `loaded`, all settings."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(config: Path | None, **arguments: Any) -> Any:
            level = _level(arguments.pop("quiet", False), arguments.pop("verbose", False))
            given = {name: _given(arguments.pop(name)) for name in names}
            return command(loaded=_load(_with_level(given, level), config), **arguments)

        return _with_options(_with_verbosity(run) if "log_level" in names else run, names)  # type: ignore[return-value]

    return decorate


def _with_verbosity(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with `-q` and `-v`, short options for two log levels."""
    quiet = click.option("-q", "--quiet", is_flag=True, help="Warnings and errors only, no progress.")
    verbose = click.option("-v", "--verbose", is_flag=True, help="Each step as a log line, and tracebacks.")
    return quiet(verbose(command))


def _level(quiet: bool, verbose: bool) -> str | None:
    if quiet and verbose:
        raise Usage("-q and -v are given both", remedy="Leave one of them out.")
    return "warning" if quiet else "debug" if verbose else None


def _with_level(given: Mapping[str, Any], level: str | None) -> Mapping[str, Any]:
    if level is None:
        return given
    if given.get("log_level") is not None:
        raise Usage("-q and -v stand for a --log-level, which is given too", remedy="Leave one of them out.")
    return {**given, "log_level": level}


def _given(value: Any) -> Any:
    """The option's value, None if it was not given: click passes an empty tuple for a repeatable option, then."""
    return None if value == () else value


def output(command: Command) -> Command:
    """The command with `--output text|json`: text for people, or one JSON object for programs."""
    choice = click.Choice(["text", "json"])
    return click.option("--output", type=choice, default="text", help="Print text, or one JSON object.")(command)


def output_or_metrics(command: Command) -> Command:
    """The command with `--output text|json|prometheus`; the last one is the text exposition format of Prometheus."""
    choice = click.Choice(["text", "json", "prometheus"])
    words = "Print text, one JSON object, or metrics for Prometheus."
    return click.option("--output", type=choice, default="text", help=words)(command)


def brief(command: Command) -> Command:
    """The command with `--brief`, which shortens what programs read; a usage error with the text for people."""

    @functools.wraps(command)
    def run(**arguments: Any) -> Any:
        if arguments["brief"] and arguments["output"] == "text":
            raise click.UsageError("--brief shortens the JSON object: add --output json")
        return command(**arguments)

    words = "For programs: sums, and only the accounts that need attention."
    return click.option("--brief", is_flag=True, help=words)(run)  # type: ignore[return-value]


def _with_options(command: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    command = click.option("--config", type=PATH, metavar="FILE", help="Settings file. Default vnsync.toml.")(command)
    for name in reversed(names):
        metavar, text = _HELP[name]
        command = click.option(
            _OPTIONS.get(name) or "--" + name.replace("_", "-"),
            name,
            metavar=metavar,
            help=text,
            multiple=name in _OPTIONS,
        )(command)
    return command


def _load(given: Mapping[str, Any], config: Path | None) -> Loaded:
    from etl.config.settings import asked_log_format, load

    state = current_state()
    state.log_format = asked_log_format(given)
    state.debug = given.get("log_level") == "debug"
    loaded = load(given, config)
    remember(loaded, state)
    return loaded


def remember(loaded: Loaded, state: State) -> None:
    """Keep in `state` how errors are shown, and the secrets that must never be shown."""
    from etl.config.secret_file import known
    from etl.config.urls import passwords_of, secret_part

    now = loaded.settings
    state.log_format, state.debug = now.log_format, now.log_level == "debug"
    state.secrets += [s.get_secret_value() for s in (now.api_token, now.api_password) if s]
    state.secrets += [secret_part(now.ping_url.get_secret_value())] if now.ping_url else []
    state.secrets += passwords_of(now.database_url.get_secret_value())
    state.secrets += [s.get_secret_value() for f in (now.api_token_file, now.api_password_file) if (s := known(f))]
