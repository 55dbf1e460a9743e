"""Identity of one account in a sync: the viewer that lists it, its name and its time zone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial

from msgspec.structs import replace

from etl.domain.viewer import NO_VIEWER, Viewer
from etl.errors import SOURCE_FAILURES
from etl.extract.accounts import Account, Description, describe
from etl.extract.prefetch import Begin
from etl.load.account import AccountLoad
from etl.load.findings import AccountFacts
from etl.store.accounts import KnownAccount
from etl.sync.context import SyncContext
from etl.sync.descriptions import COMPARED_EVERY, is_due
from etl.sync.viewer import Users


class Identity:
    """The identity of an account during one sync. `viewer`: the one that lists it, once it is chosen."""

    def __init__(self, run: SyncContext, account: Account, known: KnownAccount) -> None:
        self._run, self._account, self._known = run, account, known
        self._archived = run.options.viewers.get(account.account_id)
        self._described_at, self._compared_at = known.described_at, known.users_compared_at
        self.viewer, self._others_numbers = NO_VIEWER, False
        named = self._archived.user_id if self._archived else run.options.users.get(account.account_id)
        self.users = Users(run.api, account, known.viewer.user_id, named)

    # -- the viewer

    def list_through(self, user_id: int | None) -> None:
        """List the account through this user; None: through the token itself."""
        self.viewer = self._archived or Viewer(credential=self._run.credential, user_id=user_id)

    @property
    def viewer_differs(self) -> bool:
        """Whether another viewer, with other rights, listed the account's open numbers."""
        return self._known.synced and not self.viewer.sees_as(self._known.viewer)

    def cannot_tell(self, load: AccountLoad, gone: Sequence[int]) -> set[int]:
        """Of numbers that are absent from this viewer's answers, those that it may never have seen.

        All of them where another viewer listed the account; else those that appeared while another one listed it.
        """
        unseen = set(gone) if self.viewer_differs else load.never_shown(self.viewer, gone)
        self._others_numbers = bool(unseen)
        return unseen

    def viewer_changed(self, suspects: int) -> bool:
        """Whether suspects are open numbers that another viewer listed, and that this one may not see."""
        return bool(suspects) and (self.viewer_differs or self._others_numbers)

    def compare_users(self, listed: int) -> None:
        """Report another user of the customer who sees more than the `listed` numbers."""
        account_id, now = self._account.account_id, self._run.clock.now()
        if self.users.compared:
            self._compared_at = now
        if not self.users.are_a_choice or not is_due(account_id, self._compared_at, now, COMPARED_EVERY):
            return
        self._compared_at = now
        with contextlib.suppress(*SOURCE_FAILURES):  # the listing does not depend on it
            if more := self.users.seeing_more(self.viewer.user_id, listed):
                self._run.notice(
                    f"user {more[0]} sees {more[1]} numbers; user {self.viewer.user_id}, through whom the account is"
                    f" listed, sees {listed}. To choose one, name it in [users] of vnsync.toml or with --user",
                    account_id,
                )

    # -- name and time zone

    def described(self, begin: Begin) -> Callable[[], Account]:
        """A function that gives the account with its name and time zone, as far as they are known.

        They are requested for the customers that are due; the answer may arrive while the listing is made ready.
        """
        run, account, known = self._run, self._account, self._known
        asked: Callable[[], Description] | None = None
        if account.account_id in run.to_describe:
            asked = begin(partial(describe, run.api, account, self.viewer.user_id))

        def described() -> Account:
            description = Description()
            if asked:
                description, self._described_at = asked(), run.clock.now()
                if description.problem:
                    run.undescribed.add(description.problem)
            name = account.account_name or description.name or known.account_name
            timezone = account.timezone or description.timezone or known.timezone
            return replace(account, account_name=name, timezone=timezone)

        return described

    def facts(self, account: Account, *, suspects: int) -> AccountFacts:
        """The facts for the account's row: the new viewer, unless it misses numbers that the last one saw."""
        return AccountFacts(
            account_name=account.account_name,
            timezone=account.timezone,
            viewer=self._known.viewer if self.viewer_changed(suspects) else self.viewer,
            described_at=self._described_at,
            users_compared_at=self._compared_at,
        )
