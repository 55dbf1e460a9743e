"""Verification of a warehouse: every version, every chain, the rows of accounts and syncs, and the references."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec.structs import replace
from sqlalchemy import Connection, Engine

from etl.domain import tables as declared
from etl.domain.canonical import bytes_of, text_of
from etl.domain.runs import AccountStatus
from etl.domain.verification import AccountChain, Head, Problem, Problems, Progress, Verdict
from etl.store import inspection
from etl.store.engine import begin_reading, database_errors
from etl.verify import installations, references, storage
from etl.verify.chains import Chain, kept_sections
from etl.verify.records import Records, Sync, read
from etl.verify.versions import Erased, Versions

KeptHead = tuple[int | None, str]
"""Head that was kept elsewhere: the account, if the user named one, and the digest in hex."""
_WHOLE = re.compile(r"-?[0-9]{1,19}")


def verify_warehouse(engine: Engine, heads: Sequence[KeptHead], progress: Progress) -> Verdict:
    """Read everything once, in one transaction, and verify it; each of `heads` must be a digest of a chain.

    The definitions of tables and views are compared too, if the role may do that: an edited view shows wrong data.
    """
    progress("definitions")
    problems, definitions = Problems(), inspection.inspect(engine)
    for difference in definitions.problems:
        problems.add(Problem(what=difference.sentence))
    with database_errors(), begin_reading(engine) as connection:
        return replace(verify_connection(connection, heads, progress, problems), notes=definitions.notes)


def verify_connection(
    connection: Connection, heads: Sequence[KeptHead], progress: Progress, problems: Problems | None = None
) -> Verdict:
    """Verify the data in the caller's transaction, including uncommitted rows; problems are added to `problems`."""
    problems = Problems() if problems is None else problems
    progress("types")
    for table, what in inspection.exposed(connection):
        problems.add(Problem(table=table, what=what))
    for problem in storage.check(connection):
        problems.add(problem)
    progress("runs and syncs")
    records = read(connection)
    for problem in _of_records(records):
        problems.add(problem)
    chains = [_account(connection, records, i, problems, progress) for i in _account_ids(records)]
    progress("references")
    for problem in references.check(connection):
        problems.add(problem)
    found = [_head(records, account, digest, problems) for account, digest in heads]
    return Verdict.of(problems, accounts=[c for c in chains if c is not None], heads=found)


def _account_ids(records: Records) -> list[str]:
    """Accounts that any row names. Ids that are not whole numbers are left out: the storage check reports them."""
    every = records.syncs.keys() | records.accounts.keys() | records.with_data | records.erasures.keys()
    return sorted(filter(_WHOLE.fullmatch, every | records.sealed.keys()), key=lambda i: (len(i), i))


# -- the data of one account


def _account(
    connection: Connection, records: Records, account_id: str, problems: Problems, progress: Progress
) -> AccountChain | None:
    syncs = [s for s in records.syncs.get(account_id, []) if s.published]
    published = {bytes_of(s.observed_at or ""): bytes_of(s.run_id) for s in syncs}
    erased = _erased(records, account_id)
    versions, found = {}, {}
    for table in declared.TABLES:
        progress(f"account {account_id}: {table.name}")
        versions[table.name] = Versions(table, account_id, published, erased, problems)
        found[table.name] = versions[table.name].scan(connection)
    for number, since in sorted(erased.digests.keys() - erased.met):
        what = f"records an erased version of {text_of(since)} that does not exist"
        key = f"virtual_number_id {text_of(number)}"
        problems.add(Problem(table="erasures", key=key, account_id=account_id, what=what))
    kept = kept_sections(records, account_id)
    Chain(account_id, syncs, kept, records, found, versions, problems).check(connection)
    if not syncs:
        return None
    erasures = records.erasures.get(account_id, [])
    return AccountChain(
        account_id=int(account_id),
        syncs=len(syncs),
        observed_at=syncs[-1].observed_at,
        chain_digest=syncs[-1].chain_digest,
        versions=sum(scan.versions for scan in found.values()),
        erased=len(erasures),
        last_erased_at=max((e.erased_at or "" for e in erasures), default=None),
    )


def _erased(records: Records, account_id: str) -> Erased:
    rows = records.erasures.get(account_id, [])
    return Erased({(bytes_of(e.virtual_number_id), bytes_of(e.valid_from or "")): bytes_of(e.digest) for e in rows})


# -- rows of accounts and syncs


def _of_records(records: Records) -> Iterator[Problem]:
    yield from installations.check(records)
    for syncs in records.syncs.values():
        yield from _of_syncs(records, syncs)
    for account_id in sorted(records.accounts.keys() | records.syncs.keys() | records.sealed.keys()):
        yield from _of_account(records, account_id)
        yield from _of_lost_syncs(records, account_id)
    tried = {(s.account_id, s.run_id) for syncs in records.syncs.values() for s in syncs}
    for account, run in sorted(records.quarantined.keys() - tried):
        what = "has quarantined records of a sync that does not exist"
        yield Problem(table="quarantine", key=f"run_id {run}", account_id=account, run_id=run, what=what)
    published = {(s.account_id, s.run_id) for syncs in records.syncs.values() for s in syncs if s.published}
    for account, run in sorted(records.first_reported - published):
        what = "names a sync that was not published"
        yield Problem(table="first_reported", key=f"run_id {run}", account_id=account, run_id=run, what=what)


def _of_syncs(records: Records, syncs: list[Sync]) -> Iterator[Problem]:
    for sync in syncs:
        if sync.run_id not in records.runs:
            yield _of_sync(sync, "its run is not in sync_runs")
        if sync.published and sync.observed_at is None:
            yield _of_sync(sync, "was published but has no observed_at")
        if not sync.published and (
            sync.observed_at or sync.chain_digest or sync.rows_opened + sync.rows_closed != "00"
        ):
            yield _of_sync(sync, f"has the status {sync.status}, but records that it published something")
        if (sync.unreachable is not None) != (sync.status == AccountStatus.UNREACHABLE):
            yield _of_sync(sync, f"has the status {sync.status}, but its column unreachable is {sync.unreachable}")
        kept = records.quarantined.get((sync.account_id, sync.run_id), 0)
        if sync.published and sync.quarantined != str(kept):
            yield _of_sync(sync, f"counts {sync.quarantined} quarantined records; the table quarantine has {kept}")


def _of_sync(sync: Sync, what: str) -> Problem:
    key = f"run_id {sync.run_id}"
    return Problem(table="account_syncs", key=key, account_id=sync.account_id, run_id=sync.run_id, what=what)


def _of_account(records: Records, account_id: str) -> Iterator[Problem]:
    account = records.accounts.get(account_id)
    published = [s for s in records.syncs.get(account_id, []) if s.published]
    what = []
    if account is None:
        what += ["was published but has no row"] if published else []
    elif not published:
        what.append("has a row but was never published")
    else:
        last = published[-1]
        adopted = next((s for s in reversed(published) if s.adopted), last)
        for name, of_the_sync in (
            ("account_name", last.account_name),
            ("timezone", last.timezone),
            ("listed_by_user_id", adopted.listed_by_user_id),
            ("listed_by_credential", adopted.listed_by_credential),
            ("first_run_id", published[0].run_id),
            ("last_run_id", last.run_id),
        ):
            if getattr(account, name) != of_the_sync:
                what.append(f"{name} differs from the published syncs")
    for each in what:
        yield Problem(table="accounts", key=f"account_id {account_id}", account_id=account_id, what=each)


def _of_lost_syncs(records: Records, account_id: str) -> Iterator[Problem]:
    """Missing syncs of existing runs, which other rows of the account name."""
    for run in sorted(records.lost_syncs(account_id)):
        what = "is missing, although other rows name it: it was deleted, or they were edited"
        yield Problem(table="account_syncs", key=f"run_id {run}", account_id=account_id, run_id=run, what=what)


# -- heads that were kept elsewhere


def _head(records: Records, account: int | None, digest: str, problems: Problems) -> Head:
    wanted = [str(account)] if account is not None else _account_ids(records)
    for account_id in wanted:
        published = [s.chain_digest for s in records.syncs.get(account_id, []) if s.published]
        if digest in published:
            since = len(published) - 1 - published.index(digest)
            return Head(digest=digest, account_id=int(account_id), syncs_since=since)
    whose = f"of account {account}" if account is not None else "of any account"
    what = f"the head {digest} is not in the chain {whose}: the history was rewritten or truncated"
    problems.add(Problem(table="account_syncs", account_id=account, what=what))
    return Head(digest=digest, account_id=account, syncs_since=None)
