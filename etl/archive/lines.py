"""Lines of a run's manifest: one JSON object each; the field `kind` names the type of line."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from etl.archive.strict import strictly

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""SHA-256 in lower-case hex. The pattern is strict because digests become parts of paths."""


class Before(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Manifest that existed when a run began: its first `bytes` bytes have this digest."""

    run_id: int
    bytes: int
    sha256: Digest


class Mark(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Newest erasure record when a run began: its number, and the SHA-256 of its file."""

    number: int
    sha256: Digest


class Run(
    Struct, tag_field="kind", tag="run", frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """First line: the run and its options.

    `previous`: the manifests that no earlier run names completely, oldest first; `erasures`: None if there was none.
    """

    format: int
    run_id: int
    source_url: str
    version: str
    started_at: datetime
    accounts: list[int] = []
    approve_close: list[int] = []
    max_close_share: float
    page_limit: int
    previous: list[Before] = []
    erasures: Mark | None = None


class Roster(Struct, tag_field="kind", tag="roster", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accounts that the token can read: pairs of an account and its users."""

    accounts: list[tuple[int, list[int]]]


class Response(
    Struct, tag_field="kind", tag="response", frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Request, and the response that was kept. Without `sha256` no complete response arrived; `error` gives the reason.

    `records`: for a listing that has records, the digest over its pieces (`pieces.Pieces.digest`).
    """

    account_id: int | None = None
    method: str
    params: msgspec.Raw
    request_id: int
    received_at: datetime
    status: int | None = None
    sha256: Digest | None = None
    size: int = 0
    records: Digest | None = None
    redacted: bool = False
    error: str | None = None

    def __post_init__(self) -> None:
        if not bytes(self.params).startswith(b"{"):
            raise ValueError("params is no object")

    def asked(self) -> dict[str, Any]:
        """Decode `params`. They are kept as raw JSON, because a run may have a hundred thousand of them."""
        found: dict[str, Any] = msgspec.json.decode(self.params, type=dict[str, Any])
        return found


class Plan(Struct, tag_field="kind", tag="plan", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ids at which the account was divided into windows; written after the account was listed completely."""

    account_id: int
    bounds: list[int]


class Publishes(Struct, tag_field="kind", tag="publishes", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Publication that is about to be committed.

    `changes`: versions opened and closed, by table; `previous`: time of the account's previous observation.
    """

    account_id: int
    account_name: str | None
    timezone: str | None
    listed_by_user_id: int | None
    listed_by_credential: str | None
    previous: datetime | None
    observed_at: datetime
    listed_numbers: int | None
    quarantined: int
    changes: dict[str, tuple[int, int]]
    chain_digest: Digest | None


class Account(
    Struct, tag_field="kind", tag="account", frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Outcome of an account sync."""

    account_id: int
    status: str
    error: str | None = None
    exit_code: int = 0


class End(
    Struct, tag_field="kind", tag="end", frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Outcome of the run."""

    status: str
    exit_code: int
    finished_at: datetime
    error: str | None = None


class Seal(Struct, tag_field="kind", tag="seal", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Last line: the number of lines before it, and the digest of their bytes."""

    lines: int
    sha256: Digest


Line = Run | Roster | Response | Plan | Publishes | Account | End | Seal

_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_encoder = msgspec.json.Encoder(order="deterministic")


def encoded(line: Line) -> bytes:
    """Encode a line as a manifest contains it, with its newline."""
    return _encoder.encode(line) + b"\n"


def decoded(text: bytes) -> Line:
    """Decode a line of a manifest. Raises `ValueError` when `text` is not one."""
    return strictly(text, _decoder)
