"""Errors of the Data API: each mnemonic becomes an error of vnsync's own tree, with its remedy.

Rights and mnemonics are those of the vendor's documentation. Rights of the client area apply to users and keys alike.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from etl.errors import (
    AccountRefused,
    DayLimit,
    FilterRefused,
    MethodUnknown,
    NotAllowed,
    SessionExpired,
    SourceUnusable,
    TooMuchAsked,
    Transient,
    TryLater,
    VnsyncError,
)
from etl.extract.redaction import NOTHING_SECRET, Redaction

RIGHTS = {
    "get.virtual_numbers": "number management: view",
    "get.customer_users": "user: view",
    "get.customers": "at least one selected client",
}
"""The right of the client area that each method needs, from the vendor's method pages."""
_SESSION = {
    "access_token_expired": "the API key has expired",
    "access_token_invalid": "the API key is not valid",
    "access_token_blocked": "the API key is blocked",
    "auth_error": "the source refuses the key, or login and password",
}
_REFUSED = frozenset(
    {"forbidden", "ip_not_whitelisted", "method_component_disabled", "parameter_component_disabled", "account_inactive"}
)
_WRONG_CALL = frozenset({"invalid_request", "batch_operations_not_supported", "notifications_not_supported"})
_FILTER = frozenset({"filter_prohibited", "unexpected_parameters"})
_REMEDIES = {
    "ip_not_whitelisted": "Add this IP address to the whitelist in the client area of that account (the customer's own,"
    " not its agent's)",
    "account_inactive": "The account is switched off at the vendor; ask them, or leave it out with --account",
    "method_component_disabled": "The account's tariff lacks this method; ask the vendor to switch it on",
    "parameter_component_disabled": "The account's tariff lacks this parameter; ask the vendor to switch it on",
    "access_token_expired": "Make a new key in the client area and put it into the token file",
    "access_token_invalid": "Check that the token file holds the whole key, and that the URL is your brand's",
    "access_token_blocked": "The key is blocked; make a new one in the client area",
    "auth_error": "Check login and password, or the key",
}


class Call(Struct, frozen=True, kw_only=True):
    """Method call, for error texts: the method and, under an agent, the customer's user through whom it was made."""

    method: str = ""
    user_id: int | None = None

    @property
    def whom(self) -> str:
        """The user or the key whose rights applied."""
        return "the key" if self.user_id is None else f"user {self.user_id}"


UNNAMED = Call()


class ErrorBody(msgspec.Struct, gc=False):
    """Error as the API sends it; any part may be missing in practice."""

    code: Any = None
    message: Any = None
    data: Any = None

    @property
    def details(self) -> dict[str, Any]:
        """The error's `data` object; empty if it has none."""
        return self.data if isinstance(self.data, dict) else {}

    @property
    def mnemonic(self) -> str:
        """Name of the error in the API's documentation; empty if it was not sent."""
        return str(self.details.get("mnemonic") or "")


class LimitExceeded(TryLater):
    """The points of the minute are used up; `reset`: seconds until they are back, as the source reports."""

    def __init__(self, cause: str, reset: object) -> None:
        super().__init__(cause)
        self.reset = reset


def error_of(error: ErrorBody, redaction: Redaction = NOTHING_SECRET, call: Call = UNNAMED) -> VnsyncError:
    """The error to raise for an error answer, by its mnemonic. An unknown mnemonic is not retried."""
    mnemonic = error.mnemonic
    asked = f"{call.method} with " if call.method else ""
    cause = redaction.quote(f"the source answers {asked}{mnemonic or error.code}: {error.message}{_named_field(error)}")
    if mnemonic in _SESSION:
        return SessionExpired(f"{_SESSION[mnemonic]} ({mnemonic})", remedy=_REMEDIES.get(mnemonic))
    if mnemonic in _REFUSED:
        return _refusal(error, redaction, call)
    if mnemonic == "limit_exceeded":
        return _limit(cause, error)
    if mnemonic == "internal_error" or (not mnemonic and error.code == -32603):
        return Transient(cause)
    if mnemonic in _FILTER and _about_filter(error):
        return FilterRefused(cause)
    if mnemonic == "invalid_parameter_value" and _about_filter(error):
        return TooMuchAsked(cause)
    if mnemonic == "required_parameter_missed" and error.details.get("field") == "user_id":
        return _agent_without_users(cause)
    if mnemonic in _WRONG_CALL or error.code in (-32600, -32700):
        return SourceUnusable(cause)
    if mnemonic == "method_not_found" or error.code == -32601:
        return MethodUnknown(cause, remedy="Check the version at the end of the API URL (/v2.0)")
    if not mnemonic and error.code in (-32001, -32003):
        return NotAllowed(cause)
    return SourceUnusable(cause)


def _refusal(error: ErrorBody, redaction: Redaction, call: Call) -> AccountRefused:
    """The error for a refused method: which method, for which user or key, and the missing right."""
    detail = redaction.quote(f"{error.mnemonic}: {error.message}")
    subject = f"{call.method} is refused for {call.whom}" if call.method else "the source refuses"
    remedy = _REMEDIES.get(error.mnemonic) or _missing_right(call)
    cause = _with_address(f"{subject}: {detail}", error, redaction)
    return AccountRefused(cause, mnemonic=error.mnemonic, remedy=remedy)


def _missing_right(call: Call) -> str:
    right = RIGHTS.get(call.method)
    named = f'the right "{right}"' if right else "the rights to this method"
    return f"In the client area, give {call.whom} {named}"


def _agent_without_users(cause: str) -> NotAllowed:
    """The error for an agent's key that may not list users: it looks like a customer's key until numbers are listed."""
    return NotAllowed(
        f"{cause}: the key is an agent's, and get.customer_users is refused for it",
        remedy=f'In the client area, give the key the right "{RIGHTS["get.customer_users"]}"',
    )


def _named_field(error: ErrorBody) -> str:
    field = error.details.get("field")
    return f" (field {field})" if isinstance(field, str) and field and error.code == -32602 else ""


def _with_address(cause: str, error: ErrorBody, redaction: Redaction) -> str:
    params = error.details.get("params")
    address = params.get("ip") or params.get("ip_address") if isinstance(params, dict) else None
    value = address or error.details.get("value")
    return f"{cause} ({redaction.quote(value, 60)})" if value and error.mnemonic == "ip_not_whitelisted" else cause


def _about_filter(error: ErrorBody) -> bool:
    named = str(error.details.get("field") or "")
    return error.mnemonic == "filter_prohibited" or named in ("", "id") or named.startswith("filter")


def _limit(cause: str, error: ErrorBody) -> VnsyncError:
    params, metadata = error.details.get("params"), error.details.get("metadata")
    limits = metadata.get("limits") if isinstance(metadata, dict) else None
    limits = limits if isinstance(limits, dict) else {}
    if isinstance(params, dict) and params.get("limit_type") == "minute":
        return LimitExceeded(cause, limits.get("minute_reset"))
    return day_limit(limits.get("day_reset"))


def day_limit(reset: object) -> DayLimit:
    """The error for a day whose points are used up; `reset`: seconds until they are back, as the source reports."""
    known = isinstance(reset, int | float) and not isinstance(reset, bool) and 0 < reset <= _LONGEST_DAY
    when = f" in {reset / 3600:.1f} h" if known else " tomorrow"  # type: ignore[operator]
    remedy = f"What was published stays; run again{when}"
    after = float(reset) if known else None  # type: ignore[arg-type]
    return DayLimit("the day's API points are used up", remedy=remedy, retry_after=after)


_LONGEST_DAY = 2 * 86_400.0
