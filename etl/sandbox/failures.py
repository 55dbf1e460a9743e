"""Errors of the vendor's API: each mnemonic with its code and message, and the exception that stands for one."""

from __future__ import annotations

from typing import Any

MNEMONICS: dict[str, tuple[int, str]] = {
    "parse_error": (-32700, "Parse error"),
    "invalid_request": (-32600, "Invalid Request"),
    "method_not_found": (-32601, "Method not found"),
    "required_parameter_missed": (-32602, "Required parameter is missed"),
    "invalid_parameter_value": (-32602, "Invalid parameter value"),
    "data_type_error": (-32602, "Invalid data type of a parameter"),
    "unexpected_parameters": (-32602, "Unexpected parameters"),
    "invalid_parameters_combination": (-32602, "Invalid combination of parameters"),
    "sort_prohibited": (-32602, "Sorting by this field is prohibited"),
    "filter_prohibited": (-32602, "Filtering by this field is prohibited"),
    "date_interval_limit_reached": (-32602, "The date interval is too long"),
    "error": (-32602, "Error"),
    "internal_error": (-32603, "Internal error"),
    "access_token_expired": (-32001, "The access token has expired"),
    "access_token_invalid": (-32001, "The access token is invalid"),
    "access_token_blocked": (-32001, "The access token is blocked"),
    "auth_error": (-32001, "Wrong login or password"),
    "forbidden": (-32003, "The method is forbidden"),
    "ip_not_whitelisted": (-32003, "The IP address is not on the whitelist"),
    "method_component_disabled": (-32008, "A component that the method needs is disabled"),
    "parameter_component_disabled": (-32008, "A component that a parameter needs is disabled"),
    "account_inactive": (-32009, "The account is inactive"),
    "limit_exceeded": (-32029, "The limit of requests is exceeded"),
    "batch_operations_not_supported": (-32099, "Batch operations are not supported"),
    "notifications_not_supported": (-32099, "Notifications are not supported"),
}
CALLER_IP = "203.0.113.7"  # the address in `ip_not_whitelisted`


class Failure(Exception):
    """Error answer to a request. An unknown mnemonic gets code -32000 unless `code` is given."""

    def __init__(
        self,
        mnemonic: str,
        field: str | None = None,
        value: Any = None,
        *,
        params: dict[str, Any] | None = None,
        helper: str | None = None,
        code: int | None = None,
        message: str | None = None,
        bare: bool = False,
    ) -> None:
        super().__init__(mnemonic)
        known_code, known_message = MNEMONICS.get(mnemonic, (-32000, mnemonic.replace("_", " ")))
        self.mnemonic, self.field, self.value = mnemonic, field, value
        self.code = known_code if code is None else code
        self.message = known_message if message is None else message
        self.params = _default_params(mnemonic) if params is None else params
        self.helper, self.bare = helper, bare

    def payload(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """The `error` member of a reply; with `bare`, it has no `data`."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if not self.bare:
            error["data"] = {
                "mnemonic": self.mnemonic,
                "field": self.field,
                "value": self.value,
                "params": self.params,
                "extended_helper": self.helper,
                "metadata": metadata,
            }
        return error


def _default_params(mnemonic: str) -> dict[str, Any]:
    return {"ip": CALLER_IP} if mnemonic == "ip_not_whitelisted" else {}
