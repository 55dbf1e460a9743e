"""Which answers of an archive can hold content of a number: its account's listings, and answers to other requests."""

from __future__ import annotations

from etl.archive.lines import Response
from etl.archive.mentions import Sought
from etl.archive.pieces import LISTING, answer_id


def within(sought: Sought, line: Response, body: bytes, account_id: int) -> Sought | None:
    """What to search for in the answer of a line; None where it cannot hold a number of the account.

    A listing of the account, or of no account, is searched as a whole, and so is an answer that does not say that it is
    to its line's request, whoever that was of. In a listing of another account, rows that name this one count.
    """
    listing = line.method == LISTING
    if (listing and line.account_id in (None, account_id)) or answer_id(body) != line.request_id:
        return sought
    return sought.only_of(account_id) if listing and line.records is not None else None
