"""The mass-close guard: how many numbers one sync may close without being asked."""

from __future__ import annotations

NEVER_BELOW = 20
"""So many numbers may always be closed: in a small account a share would hold up everyday work."""


def allowed_to_close(open_numbers: int, share: float) -> int:
    """How many of an account's open numbers may close at once; `share` is between 0 and 1."""
    return max(NEVER_BELOW, int(open_numbers * share))
