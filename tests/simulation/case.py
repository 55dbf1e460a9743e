"""Case: one published account sync, as the oracle judges it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.customer import Customer
from tests.simulation.dump import Picture, Sync
from tests.simulation.keys import Viewer
from tests.simulation.response_log import AccountLog


@dataclass(frozen=True, kw_only=True)
class Case:
    """One published account sync: its account, the open numbers before and after, and the answers that were received.

    `undisturbed`: no fault struck the process's requests. `viewer_before`: the user and the credential that the
    warehouse had on record.
    """

    sync: Sync
    before: Picture
    after: Picture
    log: AccountLog
    customer: Customer
    approved: bool
    share: float
    undisturbed: bool
    viewer_before: tuple[int | None, str | None] | None

    @property
    def viewer(self) -> Viewer:
        """The viewer that listed the account."""
        assert self.log.viewer is not None
        return self.log.viewer

    @property
    def same_viewer(self) -> bool:
        """Whether the viewer on record also listed the account this time."""
        return self.viewer_before == (self.sync.listed_by_user_id, self.sync.listed_by_credential)

    @property
    def gone(self) -> set[int]:
        """The numbers that were closed."""
        return self.before.numbers.keys() - self.after.numbers.keys()

    @property
    def new(self) -> set[int]:
        """The numbers that were opened."""
        return self.after.numbers.keys() - self.before.numbers.keys()
