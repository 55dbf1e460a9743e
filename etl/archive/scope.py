"""Scope of an erasure: which answers can contain a number, and which of their records count."""

from __future__ import annotations

from etl.archive.lines import Response
from etl.archive.mentions import Sought
from etl.archive.pieces import LISTING, answer_id


def within(sought: Sought, line: Response, body: bytes, account_id: int) -> Sought | None:
    """Search target for the answer of a line; None if the answer cannot contain a number of the account.

    A listing of the account, or of no known account, is searched as a whole. So is any answer that does not name its
    line's request, whatever account the request was for. In a listing of another account, only records that name this
    account count.
    """
    listing = line.method == LISTING
    if (listing and line.account_id in (None, account_id)) or answer_id(body) != line.request_id:
        return sought
    return sought.only_of(account_id) if listing and line.records is not None else None
