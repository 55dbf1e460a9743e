"""Checks of the source by `vnsync doctor`: each method that a sync calls is called once, for a few customers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from etl.cli.checks import Finding, Reached, failed
from etl.errors import AccountRefused, Incomplete, VnsyncError

if TYPE_CHECKING:
    from etl.config.settings import Loaded
    from etl.domain.events import Event
    from etl.extract.accounts import Account, Roster
    from etl.extract.jsonrpc import DataApi

PATIENCE = 10.0
"""Upper limit of seconds for retries, lower than a sync's: a check should end soon."""
CLOCK_TOLERANCE = 60.0
"""Seconds by which this machine's clock may differ from the source's."""
CUSTOMERS_ASKED = 5
"""Upper limit of an agent's customers that are checked one by one: each costs two API points."""


def check_source(loaded: Loaded, reached: Reached) -> Iterator[Finding]:
    """Source: it accepts the token, from this address, for all that a sync asks; clocks agree. Fills in `reached`."""
    from etl.cli.connect import data_api
    from etl.clock import SystemClock
    from etl.extract.accounts import discover

    clock, events = SystemClock(), list["Event"]()
    try:
        with data_api(loaded, clock=clock, report=events.append, patience=PATIENCE) as api:
            events.clear()  # warnings about files that other users may read: `check_settings` gives them
            try:
                roster = discover(api).given(loaded.settings.users)
            finally:
                source_time, own_time = api.server_date, clock.now().timestamp()
            reached.accounts |= roster.ids
            reached.credential = api.credential
            yield _accepted(roster)
            yield from _lists(roster, events)
            yield from _listings(api, roster, loaded.settings.users)
            yield _clock(source_time, own_time)
    except AccountRefused as error:
        yield failed("whitelist" if error.mnemonic == "ip_not_whitelisted" else "token", error)
    except VnsyncError as error:
        yield failed("token", error)


def _accepted(roster: Roster) -> Finding:
    from etl.report.wording import counted

    found = f"accepted: {roster.role}, {counted(len(roster.ids), 'account')} can be read"
    return Finding(check="token", state="ok", found=found)


def _lists(roster: Roster, events: Sequence[Event]) -> Iterator[Finding]:
    """Warnings about the lists of users and customers: notices, unusable rows, customers without a user."""
    from etl.domain.events import Notice
    from etl.report.wording import counted

    for event in events:
        if isinstance(event, Notice):
            cause, _, remedy = event.message.rpartition(". ")
            yield Finding(check="roster", state="warn", found=cause or remedy, remedy=remedy if cause else "")
    for row in roster.unusable:
        found = f"{counted(row.rows, 'row')} of {row.method} cannot be used ({row.path}: {row.reason})"
        yield Finding(check="roster", state="warn", found=found, remedy="The others are synced; ask the vendor.")
    if roster.without_user:
        first = ", ".join(str(a.account_id) for a in roster.without_user[:5])
        found = f"{counted(len(roster.without_user), 'customer')} without a user that this token can see ({first})"
        remedy = "Give the agent's key access to a user of each, or name one in [users] of vnsync.toml."
        yield Finding(check="roster", state="warn", found=found, remedy=remedy)


# -- one listing and one description for each role


def _listings(api: DataApi, roster: Roster, chosen: Mapping[int, int]) -> Iterator[Finding]:
    """Whether numbers can be listed: for a customer's token its own, for an agent's those of the first customers."""
    refused: list[tuple[Account, AccountRefused]] = []
    problems: list[str] = []
    asked = roster.accounts[:CUSTOMERS_ASKED]
    for account in asked:
        try:
            user_id = _listed_through(api, account, chosen)
        except AccountRefused as error:
            refused.append((account, error))
        else:
            problems += _undescribed(api, account, user_id)
    yield from _refusals(refused, roster, len(asked))
    if problems:
        remedy = "Names are taken from get.customers; nothing else depends on this."
        found = f"{len(problems)} of {len(asked)} customers asked: {problems[0]}"
        yield Finding(check="names", state="warn", found=found, remedy=remedy)


def _listed_through(api: DataApi, account: Account, chosen: Mapping[int, int]) -> int | None:
    """The user through whom a row could be listed; None for the token itself. Raises the refusal of the last user."""
    from etl.extract.listing import count_numbers

    users: list[int | None] = list(account.user_ids) or [None]
    if account.account_id in chosen:
        users = [chosen[account.account_id]]
    for user_id in users[:-1]:
        try:
            count_numbers(api, user_id)
        except AccountRefused:
            continue
        return user_id
    count_numbers(api, users[-1])
    return users[-1]


def _undescribed(api: DataApi, account: Account, user_id: int | None) -> list[str]:
    from etl.extract.accounts import describe

    problem = describe(api, account, user_id).problem if user_id is not None else None
    return [problem] if problem else []


def _refusals(refused: Sequence[tuple[Account, AccountRefused]], roster: Roster, asked: int) -> Iterator[Finding]:
    """Findings about listings that were refused: a known state of a customer, such as locked, is not a failure."""
    from etl.report.states import state
    from etl.sync.unreachable import state_of

    agents = roster.role == "agent"
    known = [(a, s) for a, e in refused if agents and (s := state_of(a, e)) is not None]
    broken = [(a, e) for a, e in refused if not agents or state_of(a, e) is None]
    for account, reason in known:
        yield Finding(
            check="listing", state="ok", found=f"customer {account.account_id}: {state(reason)}; its rows stay"
        )
    if not broken:
        whose = f"for {asked - len(known)} of {len(roster.accounts)} customers" if agents else "for this account"
        yield Finding(check="listing", state="ok", found=f"numbers can be listed {whose}, from this address")
        return
    account, error = broken[0]
    whose = f"{len(broken)} of {asked} customers asked, the first {account.account_id}: " if agents else ""
    code = error.exit_code if len(broken) == asked else Incomplete.exit_code
    check = "whitelist" if error.mnemonic == "ip_not_whitelisted" else "listing"
    yield Finding(check=check, state="fail", found=f"{whose}{error}", remedy=error.remedy, exit_code=code)


def _clock(source_time: float | None, own_time: float) -> Finding:
    if source_time is None:
        return Finding(check="clock", state="ok", found="not compared: the source sent no date")
    apart = own_time - source_time
    found = f"{abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} the source's"
    if abs(apart) <= CLOCK_TOLERANCE:
        return Finding(check="clock", state="ok", found=found)
    return Finding(
        check="clock", state="warn", found=found, remedy="Set this machine's clock (NTP): history is dated by it."
    )
