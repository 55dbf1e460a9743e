"""Error answers of the made-up API."""

from __future__ import annotations

import random
from typing import Any

ERRORS = {
    "internal_error": (-32603, "internal_error"),
    "unknown_error": (-32050, "brand_new_error"),
    "error_without_data": (0, ""),
    "minute_limit": (0, ""),
    "session_expired": (-32001, "access_token_expired"),
    "forbidden": (0, ""),
}
"""Faults that answer every request with an error."""
OUT_OF_REACH = ("forbidden", "ip_not_whitelisted", "method_component_disabled", "account_inactive")


class Refusal(Exception):
    """An error answer."""

    def __init__(self, code: int, mnemonic: str | None, **data: Any) -> None:
        super().__init__(mnemonic)
        self.code, self.mnemonic, self.data = code, mnemonic, data

    def body(self) -> dict[str, Any]:
        """The `error` member."""
        if self.mnemonic is None:
            return {"code": self.code, "message": "no details"}
        return {"code": self.code, "message": self.mnemonic, "data": {"mnemonic": self.mnemonic, **self.data}}


FORBIDDEN = (-32003, "forbidden")
USER_MISSING = (-32602, "required_parameter_missed")
INACTIVE = (-32009, "account_inactive")
NO_SUCH_CALL = (FORBIDDEN, (-32008, "method_component_disabled"), (-32602, "unexpected_parameters"))
"""Refusals of a method for which a key or a user has no right."""


def struck_by(name: str, rng: random.Random) -> Refusal:
    """The error of a fault in `ERRORS`."""
    if name == "forbidden":
        return Refusal(-32003, rng.choice(OUT_OF_REACH))
    if name == "error_without_data":
        return Refusal(rng.choice((-32603, -32003, -32602)), None)
    if name == "minute_limit":
        limits = {"limits": {"minute_reset": 3}}
        return Refusal(-32029, "limit_exceeded", params={"limit_type": "minute"}, metadata=limits)
    return Refusal(*ERRORS[name])
