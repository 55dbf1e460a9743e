"""Viewer: the credential, and under an agent the customer's user, through which an account is listed.

Rights of the client area apply to keys and users alike, so another viewer may see other numbers: a number that it does
not see is not proved gone.
"""

from __future__ import annotations

from msgspec import Struct


class Viewer(Struct, frozen=True, kw_only=True):
    """Credential and user. `credential`: its name by `extract.credentials`, no secret; None: not recorded.

    `user_id`: None for an account's own key or login.
    """

    credential: str | None = None
    user_id: int | None = None

    def sees_as(self, other: Viewer) -> bool:
        """Whether both are the same viewer, as far as their credentials are recorded."""
        unknown = self.credential is None or other.credential is None
        return self.user_id == other.user_id and (unknown or self.credential == other.credential)


NO_VIEWER = Viewer()
