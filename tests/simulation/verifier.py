"""Verifier: the rules that hold between one commit and the next, and those of the whole history at the end.

It is written from the warehouse's contract, without code of the program. `chain` has the hash chain (rest of I10).
Not here yet: archived pages (I8) and the same dump from PostgreSQL (I17); they belong in `whole`.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator

from tests.simulation.dump import LAYOUTS, OF_NUMBERS, Dump, Reader, Run, Sync
from tests.simulation.records import Row

FINAL = frozenset({"succeeded", "partial", "held", "failed", "interrupted"})


def between(before: Dump, after: Dump, live: Collection[int]) -> Iterator[str]:
    """Breaches between two successive commits. `live`: the runs whose processes are alive and hold their locks."""
    yield from _runs(before, after, live)
    yield from _claims(before, after, live)
    yield from _syncs(before, after)
    yield from _accounts(before, after)
    yield from _quarantine(before, after)
    if before.current != after.current or before.closed != after.closed:
        yield from _data(before, after)
        yield from _references(after)


# -- runs, claims, account syncs


def _runs(before: Dump, after: Dump, live: Collection[int]) -> Iterator[str]:
    for run_id, old in before.runs.items():
        new = after.runs.get(run_id)
        if new is None:
            yield f"I9: the row of run {run_id} is gone"
        elif old.status in FINAL and new != old:
            yield f"I9: run {run_id} was {old.status} and is now {new.status}"
        elif new.status == "interrupted" and old.status == "running" and run_id in live and new.exit_code is None:
            yield f"I9: run {run_id} lives and was marked dead"
    for run_id, new in after.runs.items():
        if run_id not in before.runs and new.status != "running":
            yield f"I9: run {run_id} appears as {new.status}"
        if (new.finished_at is None) != (new.status == "running"):
            yield f"I9: run {run_id} is {new.status} and finished at {new.finished_at}"


def _claims(before: Dump, after: Dump, live: Collection[int]) -> Iterator[str]:
    for account_id, run_id in after.claims.items():
        run = after.runs.get(run_id)
        if run is None or run.status != "running":
            yield f"I9: account {account_id} is claimed by run {run_id}, which is not running"
        holder = before.claims.get(account_id, run_id)
        if holder != run_id and holder in live:
            yield f"I9: run {run_id} took account {account_id} from run {holder}, which lives"


def _syncs(before: Dump, after: Dump) -> Iterator[str]:
    for key, old in before.syncs.items():
        if after.syncs.get(key) != old:
            yield f"I9: the row of account sync {key} changed"
    for key, new in _new_syncs(before, after).items():
        run = before.runs.get(new.run_id)
        if new.status == "succeeded":
            yield from _may_publish(before, after, new, run)
        elif new.rows_opened or new.rows_closed or new.observed_at is not None:
            yield f"I11: account sync {key} is {new.status} and says that it wrote"


def _new_syncs(before: Dump, after: Dump) -> dict[tuple[int, int], Sync]:
    return {key: sync for key, sync in after.syncs.items() if key not in before.syncs}


def _may_publish(before: Dump, after: Dump, sync: Sync, run: Run | None) -> Iterator[str]:
    account_id = sync.account_id
    if run is None or run.status != "running":
        yield f"I10: run {sync.run_id} published account {account_id} and was not running"
    if before.claims.get(account_id) != sync.run_id:
        yield f"I10: run {sync.run_id} published account {account_id} without holding its claim"
    if account_id in after.claims:
        yield f"I10: account {account_id} is still claimed after run {sync.run_id} published it"
    earlier = [s.observed_at for s in before.syncs.values() if s.account_id == account_id and s.observed_at]
    if sync.observed_at is None or any(sync.observed_at <= other for other in earlier):
        yield f"I13: account {account_id} observed at {sync.observed_at} after {max(earlier, default=None)}"


def _accounts(before: Dump, after: Dump) -> Iterator[str]:
    old = {row[0]: row for row in before.accounts}
    new = {row[0]: row for row in after.accounts}
    published = {s.account_id: s.run_id for s in _new_syncs(before, after).values() if s.status == "succeeded"}
    for account_id in old.keys() | new.keys():
        was, now = old.get(account_id), new.get(account_id)
        if now is None or (was is not None and was[1] != now[1]):
            yield f"account {account_id} lost its row or its first run"
        elif was != now and published.get(account_id) != now[2]:
            yield f"I10: account {account_id} says that run {now[2]} published it"
    for account_id in published.keys() - new.keys():
        yield f"account {account_id} was published and has no row"


def _quarantine(before: Dump, after: Dump) -> Iterator[str]:
    if after.quarantine[: len(before.quarantine)] != before.quarantine:
        yield "quarantined records changed"
    added = [(row[0], row[1]) for row in after.quarantine[len(before.quarantine) :]]
    for key, sync in _new_syncs(before, after).items():
        if sync.status == "succeeded" and sync.quarantined != added.count(key):
            yield f"account sync {key} says {sync.quarantined} quarantined and kept {added.count(key)}"
    if any(key not in _new_syncs(before, after) for key in added):
        yield "I10: records were quarantined without their account's row"


# -- data


def _data(before: Dump, after: Dump) -> Iterator[str]:
    published = {s.account_id: s for s in _new_syncs(before, after).values() if s.status == "succeeded"}
    opened = dict.fromkeys(published, 0)
    ended = dict.fromkeys(published, 0)
    for name, layout in LAYOUTS.items():
        was, now = before.current[name], after.current[name]
        closed_before, closed_now = set(before.closed[name]), set(after.closed[name])
        if closed_before - closed_now:
            yield f"I16: closed rows of {name} changed or are gone"
        left, came = set(was) - set(now), set(now) - set(was)
        added = closed_now - closed_before
        successors = {row[: layout.keys + 1]: row for row in came}
        for row in came:
            yield from _opened(name, row, published)
            opened[row[0]] = opened.get(row[0], 0) + 1
        for row in added:
            yield from _ended(name, row, left, published)
            ended[row[0]] = ended.get(row[0], 0) + 1
            next_one = successors.get(row[: layout.keys + 1])
            if next_one is not None and next_one[: layout.width] == row[: layout.width]:
                yield f"I5: {name} {row[: layout.keys + 1]} has two equal versions side by side"
        for row in left - {r[: layout.width + 2] for r in added}:
            yield f"I4: {name} {row[: layout.keys + 1]} vanished without a closed version"
    for account_id, sync in published.items():
        if (sync.rows_opened, sync.rows_closed) != (opened[account_id], ended[account_id]):
            yield f"account {account_id} says {sync.rows_opened}/{sync.rows_closed} opened/closed, not what happened"


def _opened(name: str, row: Row, published: dict[int, Sync]) -> Iterator[str]:
    sync = published.get(row[0])
    if sync is None:
        yield f"I10: a row of {name} of account {row[0]} was written without its account's row"
    elif row[-2:] != (sync.observed_at, sync.run_id):
        yield f"I3: {name} {row[:3]} opened at {row[-2:]}, its account sync is {(sync.observed_at, sync.run_id)}"


def _ended(name: str, row: Row, left: set[Row], published: dict[int, Sync]) -> Iterator[str]:
    sync = published.get(row[0])
    if sync is None:
        yield f"I10: a row of {name} of account {row[0]} was closed without its account's row"
    elif row[-2:] != (sync.observed_at, sync.run_id):
        yield f"I12: {name} {row[:3]} closed at {row[-2:]}, its account sync is {(sync.observed_at, sync.run_id)}"
    if row[:-2] not in left:
        yield f"I16: {name} {row[:3]} was closed and had not been open"


def _references(after: Dump) -> Iterator[str]:
    """Links refer to open rows, and shared rows are referred to (I15, and the contract's last rule)."""
    current = after.current
    have = {name: {row[: LAYOUTS[name].keys + 1] for row in rows} for name, rows in current.items()}
    held: dict[str, set[Row]] = {"campaigns": set(), "scenarios": set(), "site_blocks": set(), "sites": set()}
    for account, number, campaign, *_ in current["virtual_number_campaigns"]:
        held["campaigns"].add((account, campaign))
        if (account, number) not in have["virtual_numbers"]:
            yield f"I15: campaign link {(account, number, campaign)} of a number that is not open"
    for account, number, campaign, block, *_ in current["virtual_number_site_blocks"]:
        held["site_blocks"].add((account, block))
        if (account, number, campaign) not in have["virtual_number_campaigns"]:
            yield f"I15: block link {(account, number, campaign, block)} of a campaign link that is not open"
    for account, number, scenario, *_ in current["virtual_number_scenarios"]:
        held["scenarios"].add((account, scenario))
        if (account, number) not in have["virtual_numbers"]:
            yield f"I15: scenario link {(account, number, scenario)} of a number that is not open"
    for name in ("campaigns", "site_blocks"):
        held["sites"] |= {(row[0], row[3]) for row in current[name] if row[3] is not None}
    for name, wanted in held.items():
        if have[name] != wanted:
            yield f"{name}: {sorted(have[name] ^ wanted)[:3]} open and not referred to, or the other way round"


# -- the whole history


def whole(reader: Reader, dump: Dump, accepted: dict[tuple[int, str], dict[str, list[Row]]]) -> Iterator[str]:
    """Breaches in the history as its views show it. `accepted`: what each account sync published, by its moment."""
    for name, layout in LAYOUTS.items():
        columns = ", ".join(("account_id", *layout.columns))
        history = reader.rows(
            f"select {columns}, valid_from, valid_to, opened_run_id, closed_run_id from {name}_history"
        )
        if sorted(map(repr, (r[:-3] for r in history if r[-3] is None))) != sorted(
            repr(r[:-1]) for r in dump.current[name]
        ):
            yield f"I6: the open versions of {name} are not its current rows"
        yield from _periods(name, history, dump)
        yield from _moments(name, history, accepted)
    for name in OF_NUMBERS[1:]:
        if not {r[:2] for r in dump.current[name]} <= {r[:2] for r in dump.current["virtual_numbers"]}:
            yield f"I15: {name} has links of numbers that are not open"


def _periods(name: str, history: list[Row], dump: Dump) -> Iterator[str]:
    keys, width = LAYOUTS[name].keys + 1, LAYOUTS[name].width
    versions: dict[Row, list[Row]] = {}
    for row in history:
        versions.setdefault(row[:keys], []).append(row)
        if row[-2] not in dump.runs or (row[-1] is not None and row[-1] not in dump.runs):
            yield f"I12: {name} {row[:keys]} names a run that does not exist"
        if row[-3] is not None and row[-3] <= row[-4]:
            yield f"I3: {name} {row[:keys]} ends at {row[-3]}, not after it began"
    for key, rows in versions.items():
        rows.sort(key=lambda r: r[-4])
        if sum(r[-3] is None for r in rows) > 1:
            yield f"I2: {name} {key} has two open versions"
        for one, two in itertools.pairwise(rows):
            if one[-3] is None or one[-3] > two[-4]:
                yield f"I1: versions of {name} {key} overlap at {two[-4]}"
            if one[-3] == two[-4] and one[:width] == two[:width]:
                yield f"I5: versions of {name} {key} that meet at {two[-4]} are equal"


def _moments(name: str, history: list[Row], accepted: dict[tuple[int, str], dict[str, list[Row]]]) -> Iterator[str]:
    width = LAYOUTS[name].width
    for (account_id, moment), published in accepted.items():
        then = {
            r[:width] for r in history if r[0] == account_id and r[-4] <= moment and (r[-3] is None or r[-3] > moment)
        }
        if then != {r[:width] for r in published[name] if r[0] == account_id}:
            yield f"I7: {name} of account {account_id} as of {moment} is not what was published then"
