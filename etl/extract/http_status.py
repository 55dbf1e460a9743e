"""Errors for HTTP statuses other than 200. Most come from a proxy or gateway before the API, not from the API."""

from __future__ import annotations

import math
import re
from email.utils import parsedate_to_datetime

import httpx

from etl.errors import Misconfigured, NotAllowed, TimedOut, TooMuchAsked, Transient, TryLater, VnsyncError
from etl.extract.redaction import Redaction

_SECONDS = re.compile(r"-?\d{1,15}(\.\d{1,6})?")
FORBIDDEN = (401, 403, 407)
TIME_OUTS = (408, 504)
TOO_LARGE = 413
NOT_FOLLOWED = "Redirects are not followed; set the final URL"


class TooManyRequests(Transient):
    """The source asks to slow down (HTTP 429)."""

    exit_code = TryLater.exit_code


def status_error(response: httpx.Response, redaction: Redaction, now: float) -> VnsyncError:
    """The error for a status other than 200; `now`: seconds since 1970, for a `Retry-After` that is a date."""
    status = response.status_code
    if response.is_redirect:
        return _redirected(response, redaction)
    if status in FORBIDDEN:
        return refused(status)
    if status == 429:
        return TooManyRequests(
            "the source answers HTTP 429: too many requests", retry_after=retry_after(response.headers, now)
        )
    if status == TOO_LARGE:
        return TooMuchAsked(f"the source answers HTTP {status}: the request is too large")
    if status >= 500 or status in (408, 425):
        kind = TimedOut if status in TIME_OUTS else Transient
        return kind(f"the source answers HTTP {status}", retry_after=retry_after(response.headers, now))
    return Misconfigured(f"the source answers HTTP {status}", remedy="Check host and version of the API URL (/v2.0)")


def refused(status: int) -> NotAllowed:
    """The error for a proxy or gateway that refuses the request."""
    return NotAllowed(
        f"HTTP {status} before the API was reached",
        remedy="A proxy or gateway refuses it, not the token; ask its owner",
    )


def _redirected(response: httpx.Response, redaction: Redaction) -> Misconfigured:
    """The error that names the target, without its query and its other parts that may hold a key."""
    try:
        target = response.request.url.join(response.headers.get("location", ""))
        place = redaction.quote(target.copy_with(query=None, fragment=None, userinfo=b""), 200)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        place = "an impossible address"
    cause = f"the source redirects (HTTP {response.status_code}) to {place}"
    return Misconfigured(cause, remedy=NOT_FOLLOWED)


def retry_after(headers: httpx.Headers, now: float) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or a date; None if it cannot be used."""
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return max(0.0, float(value))
    until = http_date(value)
    return None if until is None else max(0.0, until - now)


def http_date(value: str | None) -> float | None:
    """The date in a header as seconds since 1970; None if it is not a date."""
    try:
        seconds = parsedate_to_datetime(value or "").timestamp()
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return seconds if math.isfinite(seconds) else None
