"""The lines of a run's manifest, one JSON object each, told apart by `kind`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from etl.archive.strict import strictly

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""SHA-256 in lower-case hex; it becomes a part of paths."""


class Before(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Manifest that was there when a run began: its first `bytes` bytes have this digest."""

    run_id: int
    bytes: int
    sha256: Digest


class Mark(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Newest record of an erasure that was there when a run began: its number, and the SHA-256 of its file."""

    number: int
    sha256: Digest


class Run(
    Struct, tag_field="kind", tag="run", frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The first line: the run and what it was asked to do.

    `previous`: the manifests that no earlier run names whole, oldest first; `erasures`: None where there was none.
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
    """What the token reaches: pairs of an account and its users."""

    accounts: list[tuple[int, list[int]]]


class Response(
    Struct, tag_field="kind", tag="response", frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A request and the response that was kept; without `sha256` nothing whole came, and `error` says why.

    `records`: of a listing, the digest over its pieces (`pieces.Pieces.digest`), where it has records.
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
        """`params`, decoded; they are kept as they stand, for a run may have a hundred thousand of them."""
        found: dict[str, Any] = msgspec.json.decode(self.params, type=dict[str, Any])
        return found


class Plan(Struct, tag_field="kind", tag="plan", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ids at which the account was cut into windows, once it was listed whole."""

    account_id: int
    bounds: list[int]


class Publishes(Struct, tag_field="kind", tag="publishes", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """About to be committed. `changes`: versions opened and closed, by table; `previous`: the observation before."""

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
    """How an account sync ended."""

    account_id: int
    status: str
    error: str | None = None
    exit_code: int = 0


class End(
    Struct, tag_field="kind", tag="end", frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """How the run ended."""

    status: str
    exit_code: int
    finished_at: datetime
    error: str | None = None


class Seal(Struct, tag_field="kind", tag="seal", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last line: how many lines stand before it, and the digest of their bytes."""

    lines: int
    sha256: Digest


Line = Run | Roster | Response | Plan | Publishes | Account | End | Seal

_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_encoder = msgspec.json.Encoder(order="deterministic")


def encoded(line: Line) -> bytes:
    """The line as it stands in a manifest."""
    return _encoder.encode(line) + b"\n"


def decoded(text: bytes) -> Line:
    """The line that `text` is. Raises `ValueError` when it is none."""
    return strictly(text, _decoder)
