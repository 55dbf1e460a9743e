"""Error tree, ordered by the remedy. Each error has its exit code and its remedy.

VnsyncError
├── Usage                2    the command line is wrong
├── Incomplete           3    some accounts are published, others failed, are held or are another run's
├── SourceUnusable      65    the source sent an unusable answer
│   ├── BrokenAnswer    65    an answer breaks the contract: requested once more, then reported
│   ├── FilterRefused   65    the id filter is not supported: the listing falls back to offsets
│   └── TooMuchAsked    65    a request or the list in its filter is too long: split into several requests
├── Unavailable         69    source or database unavailable after retries
│   └── Transient       69    a temporary fault, to be retried at once
│       └── TimedOut    69    the answer did not come in time
├── IntegrityBroken     70    a check of the warehouse failed
│   └── UnreadableValue 70    a stored value is not of its column's type
├── LocalTrouble        74    a disk or file error of this machine
├── TryLater            75    a limit, a lock, a busy database, stale data
│   └── NoConnectionFree 75   the database has no connection left for this role: fewer at once may help
├── NotAllowed          77    token, whitelist, rights, database permission
│   ├── SessionExpired  77    the key is not accepted; in a session, a new login may help
│   └── AccountRefused  77    one customer of an agent cannot be read; the others can
├── Misconfigured       78    a setting is wrong
│   ├── OtherInstallation 78  the warehouse holds the accounts of another installation of the API
│   ├── MethodUnknown   78    the source does not know the method, or not for this token
│   └── BeyondServer    78    a value or statement is larger than the database accepts
└── Stopped       130, 143    SIGINT or SIGTERM
"""

from __future__ import annotations


class VnsyncError(Exception):
    """A known kind of failure; `str()` is the cause in one line, `remedy` the way to fix it.

    `code`: stable name of the kind for programs, independent of the class name; `retry_after`: seconds after which a
    retry may succeed, None if unknown; `concerns_all`: every other account would fail in the same way. The first line
    of a class docstring is the cause if none is given.
    """

    code = "bug"
    exit_code = 1
    default_remedy = "Report this as a bug in vnsync, with the output of --log-level debug."
    concerns_all = False

    def __init__(
        self,
        cause: str | None = None,
        *,
        remedy: str | None = None,
        run_id: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(cause or (self.__doc__ or "").split("\n")[0])
        self.remedy = remedy or self.default_remedy
        self.run_id = run_id
        self.retry_after = retry_after
        self.run: object | None = None
        """`RunResult` of the run that this error ended, with the accounts that were published before."""


class Usage(VnsyncError):
    """The command line is wrong."""

    code = "usage"
    exit_code = 2
    default_remedy = "See --help."


class Incomplete(VnsyncError):
    """Some accounts are published; others failed, are held or are another run's."""

    code = "incomplete"
    exit_code = 3
    default_remedy = "Read the account's line above; the others are published."


class Held(Incomplete):
    """The mass-close guard stopped the account."""

    code = "held"


class SourceUnusable(VnsyncError):
    """The source sent an unusable answer."""

    code = "source_unusable"
    exit_code = 65
    default_remedy = "Check that the URL is that of the Data API; if it is, its answers have changed: report this."


class BrokenAnswer(SourceUnusable):
    """The source's answer breaks the contract of the Data API."""

    code = "broken_answer"


class FilterRefused(SourceUnusable):
    """The source does not filter on the number's id."""

    code = "filter_refused"


class TooMuchAsked(SourceUnusable):
    """The source refuses the size of a request, or the list in its filter."""

    code = "too_much_asked"


class Unavailable(VnsyncError):
    """Source or database unavailable after retries."""

    code = "unavailable"
    exit_code = 69
    default_remedy = "Nothing was lost; run again when it is reachable."


class Transient(Unavailable):
    """A temporary fault; a retry after a pause may succeed (`retry_after`: seconds that the server asks for)."""

    code = "transient"


class TimedOut(Transient):
    """The answer did not come in time."""

    code = "timed_out"


class IntegrityBroken(VnsyncError):
    """An integrity check failed."""

    code = "integrity_broken"
    exit_code = 70
    default_remedy = "Run `vnsync doctor`; restore a backup if the warehouse was edited by hand."


class UnreadableValue(IntegrityBroken):
    """A stored value is not of its column's type."""

    code = "unreadable_value"
    default_remedy = "`vnsync verify` names the row; restore a backup from before the edit."


class LocalTrouble(VnsyncError):
    """A disk or file error of this machine."""

    code = "local_trouble"
    exit_code = 74
    default_remedy = "Check free space and permissions, then run again; nothing was half-published."


class TryLater(VnsyncError):
    """A limit is used up, another run is in progress, or the database is busy."""

    code = "try_later"
    exit_code = 75
    default_remedy = "Run again later; published data stays."


class DayLimit(TryLater):
    """The day's API points are used up."""

    code = "day_limit"
    concerns_all = True


class NoConnectionFree(TryLater):
    """The database has no free connection."""

    code = "no_connection_free"


class NotAllowed(VnsyncError):
    """The source or the database refuses access."""

    code = "not_allowed"
    concerns_all = True
    exit_code = 77
    default_remedy = "Check the token and its rights in the client area."


class SessionExpired(NotAllowed):
    """The source does not accept the key: it is expired, blocked or wrong."""

    code = "key_refused"


class AccountRefused(NotAllowed):
    """The source refuses access to this account; `mnemonic` is the API's name of the reason."""

    code = "account_refused"
    concerns_all = False

    def __init__(self, cause: str | None = None, *, mnemonic: str = "", remedy: str | None = None) -> None:
        super().__init__(cause, remedy=remedy)
        self.mnemonic = mnemonic


class Misconfigured(VnsyncError):
    """A setting is wrong."""

    code = "misconfigured"
    exit_code = 78
    default_remedy = "`vnsync config` shows the settings in force."


class OtherInstallation(Misconfigured):
    """The warehouse holds the accounts of another installation of the API."""

    code = "other_installation"


class MethodUnknown(Misconfigured):
    """The source does not know the method."""

    code = "method_unknown"


class BeyondServer(Misconfigured):
    """A value or a statement is larger than the database accepts."""

    code = "beyond_server"

    default_remedy = (
        "If the message names an index of your own on vnsync's tables, drop it or index a digest (md5(column));"
        " else report this. Nothing was half-published."
    )


SOURCE_FAILURES = (Unavailable, SourceUnusable, NotAllowed, TryLater, Misconfigured)
"""Errors with which one request to the source may end, while the answers to other requests remain usable."""


class Stopped(VnsyncError):
    """Stopped by a signal."""

    code = "stopped"
    default_remedy = "Nothing was half-published; run again to continue."

    def __init__(self, signal_number: int, name: str) -> None:
        super().__init__(f"stopped by {name}")
        self.exit_code = 128 + signal_number


def tree() -> list[type[VnsyncError]]:
    """Every error class of this module, parents before their subclasses."""
    found: list[type[VnsyncError]] = [VnsyncError]
    for kind in found:
        found += [sub for sub in kind.__subclasses__() if sub.__module__ == __name__]
    return found


def with_exit_code(exit_code: int, cause: str, remedy: str | None = None, *, run_id: int | None = None) -> VnsyncError:
    """An error of the first class that has the exit code; a `VnsyncError` if none has it."""
    family = next((kind for kind in tree() if kind.exit_code == exit_code and kind is not Stopped), VnsyncError)
    error = family(cause, remedy=remedy, run_id=run_id)
    error.exit_code = exit_code
    return error
