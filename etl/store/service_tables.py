"""Tables beside the data: runs, accounts, findings, and what the next run needs. Each has its sentence in `info`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text, false

from etl.store.declaring import MEANING, account_key, column, key, metadata, run_references
from etl.store.types import ID, UtcDateTime


def _says(text: str) -> dict[str, str]:
    return {MEANING: text}


def _counts(**texts: str) -> list[Column[Any]]:
    return [column(name, Integer, text) for name, text in texts.items()]


_NAME, _ZONE, _USER = "get.account $.name, get.customers $.name", "get.account $.timezone", "get.customer_users $.id"
_OWN_KEY = "listed by a key or login of its own"

sync_runs = Table(
    "sync_runs",
    metadata,
    key("run_id", "Id of the run: its start in UTC as YYMMDDhhmmss, milliseconds and one digit, so it sorts by time"),
    column("started_at", UtcDateTime, "Instant in UTC at which the run began"),
    column("finished_at", UtcDateTime, "Instant in UTC at which the run ended", null="it is still running"),
    column("status", Text, "State of the run: running, succeeded, partial, held, failed or interrupted"),
    column("exit_code", Integer, "Exit code of the run's process", null="still running, or broken off without a code"),
    column("source_url", Text, "URL of the API from which the run read"),
    column("version", Text, "Version of vnsync that made the run"),
    column("error", Text, "Line that explains an exit code other than 0", null="there is nothing to explain"),
    CheckConstraint("status in ('running', 'succeeded', 'partial', 'held', 'failed', 'interrupted')", name="status"),
    CheckConstraint("(status = 'running') = (finished_at is null)", name="finished"),
    info=_says("Runs of sync, one row for each, whether it succeeded or not"),
)

installations = Table(
    "installations",
    metadata,
    key("binding_id", "Number of the binding, from 1; the highest is in force"),
    column("origin", Text, "Scheme, host and port of the API whose accounts the warehouse holds"),
    column("bound_at", UtcDateTime, "Instant in UTC from which the binding is in force"),
    column("run_id", ID, "Run that published the first account", null="made by db rebind"),
    CheckConstraint("(binding_id = 1) = (run_id is not null)", name="first"),
    *run_references("run_id"),
    info=_says("Bindings of the warehouse to an installation of the API; earlier ones stay as a record"),
)

accounts = Table(
    "accounts",
    metadata,
    account_key(),
    column("account_name", Text, "Name of the account as last known", null="not known", field=_NAME),
    column("timezone", Text, "IANA time zone of the account as last known", null="not known", field=_ZONE),
    column("first_run_id", ID, "Run that published the account first"),
    column("last_run_id", ID, "Run that published the account last"),
    column("listed_by_user_id", ID, "User through whom the open numbers were listed", null=_OWN_KEY, field=_USER),
    column(
        "listed_by_credential",
        Text,
        "Salted digest of the key or of the login's name by which the open numbers were listed",
        null="not recorded",
    ),
    column("described_at", UtcDateTime, "Instant in UTC of the last request for name and zone", null="never asked"),
    column(
        "users_compared_at",
        UtcDateTime,
        "Instant in UTC at which the numbers that the account's users see were last compared",
        null="never compared",
    ),
    *run_references("first_run_id", "last_run_id"),
    info=_says("Accounts that were published at least once, one row for each"),
)

account_syncs = Table(
    "account_syncs",
    metadata,
    key("run_id", "Run that synced the account"),
    account_key(),
    column("status", Text, "How it ended: succeeded (published), held (by the guard), failed or unreachable"),
    column("started_at", UtcDateTime, "Instant in UTC at which the sync of the account began"),
    column(
        "observed_at",
        UtcDateTime,
        "Instant in UTC at which the whole listing had been read: the moment for which its rows hold",
        null="nothing was published",
    ),
    column("strategy", Text, "How the account was listed: id_windows or offsets", null="it was not listed"),
    *_counts(
        requests="Number of requests sent to the API for this account",
        retries="Number of these requests that repeated an earlier one",
    ),
    column("reported_total", Integer, "Number of records that the API announced", null="it was not listed"),
    column("listed_numbers", Integer, "Number of virtual numbers that were listed", null="it was not listed"),
    *_counts(
        unaccounted="Number of records that were announced and did not come",
        suspects="Number of virtual numbers that are missing and not proved gone, so that they stay open",
        duplicates="Number of records that came more than once",
        conflicts="Number of rows that came in copies which contradict each other",
        quarantined="Number of rows that this sync added to quarantine",
        rows_opened="Number of versions that this sync opened, in all data tables",
        rows_closed="Number of versions that this sync closed, in all data tables",
    ),
    column("account_name", Text, "Name of the account as this sync knew it", null="not known then", field=_NAME),
    column("timezone", Text, "IANA time zone of the account as this sync knew it", null="not known then", field=_ZONE),
    column(
        "listed_by_user_id",
        ID,
        "User through whom the account was listed",
        null=f"not listed, or {_OWN_KEY}",
        field=_USER,
    ),
    column(
        "listed_by_credential",
        Text,
        "Salted digest of the key or of the login's name by which the account was listed",
        null="not listed, or not recorded",
    ),
    column(
        "viewer_changed",
        Boolean,
        "Whether another key or user than before listed the account and did not see some open numbers",
        server_default=false(),
    ),
    column(
        "unreachable",
        Text,
        "Reason: left, no_user, waiting, manual_lock, limit_lock, debt_lock or account_inactive",
        null="the account is not unreachable",
    ),
    column("chain_digest", Text, "SHA-256 in hex of the sync's link of the chain", null="nothing was published"),
    column("exit_code", Integer, "Exit code that the account alone would give", server_default="0"),
    column("error", Text, "Line that says why the account was not published", null="there is nothing to explain"),
    CheckConstraint("status in ('succeeded', 'held', 'failed', 'unreachable')", name="status"),
    CheckConstraint("(status = 'unreachable') = (unreachable is not null)", name="unreachable"),
    CheckConstraint("status <> 'succeeded' or observed_at is not null", name="observed"),
    Index("ix_account_syncs_account_id_observed_at", "account_id", "observed_at", unique=True),
    *run_references("run_id"),
    info=_says("Work of each run on each account: when it was observed, what came of it, and its link of the chain"),
)

chain_sections = Table(
    "chain_sections",
    metadata,
    account_key(),
    key("run_id", "Run that published the versions"),
    column("table_name", Text, "Table of the versions", primary_key=True),
    column("change", Text, "Whether the versions were closed or opened", primary_key=True),
    column("versions", Integer, "Number of these versions"),
    column("digest", Text, "SHA-256 in hex of the versions' lines"),
    column("locator", Text, "Three sums over the lines, by which verify finds a row that was edited"),
    CheckConstraint("change in ('closed', 'opened')", name="change"),
    *run_references("run_id"),
    info=_says("Parts of each link of the chain, so that verify can name the table and the row that was edited"),
)

quarantine = Table(
    "quarantine",
    metadata,
    column("quarantine_id", ID, "Number of the row, in the order in which rows were added", primary_key=True),
    column("run_id", ID, "Run that received the record"),
    column("account_id", ID, "Account whose listing had the record"),
    column("virtual_number_id", ID, "Id of the number in the record", null="the id cannot be read"),
    column("path", Text, "Place in the record that cannot be used, such as $.scenarios[0].scenario_id"),
    column("reason", Text, "Why it cannot be used"),
    column("record", Text, "JSON of the record or element as sent, its first 10 000 bytes if it is too large"),
    Index("ix_quarantine_account_id_run_id", "account_id", "run_id"),
    *run_references("run_id"),
    info=_says("Records and elements of records that could not be used, once for each run that received them"),
)

source_drift = Table(
    "source_drift",
    metadata,
    key("account_id", "Account whose records had it, 0 for the roster of an agent"),
    column("path", Text, "Place in the record, such as $.campaigns[].weight", primary_key=True),
    column(
        "kind",
        Text,
        "Kind of difference: unknown_field, unknown_value, missing_field, changed_type or repeated_value",
        primary_key=True,
    ),
    column("value", Text, "Value or type that was found, empty where there is none", primary_key=True),
    column("first_run_id", ID, "Run that found it first"),
    column("last_run_id", ID, "Run that found it last"),
    *run_references("first_run_id", "last_run_id"),
    info=_says("Differences between what the API sends and what its documentation says"),
)

first_reported = Table(
    "first_reported",
    metadata,
    account_key(),
    column("path", Text, "Place of the field in the record, such as $.comment", primary_key=True),
    key("run_id", "Run that received the field, after a sync that did not"),
    *run_references("run_id"),
    info=_says("Fields that began to be reported for an account: known since that run, not changed by it"),
)

erasures = Table(
    "erasures",
    metadata,
    account_key(),
    key("virtual_number_id", "Number whose personal columns were emptied"),
    column("valid_from", UtcDateTime, "Instant in UTC from which the emptied version is known", primary_key=True),
    column("digest", Text, "SHA-256 in hex of the values that were erased, which keeps the chain valid"),
    column("erased_at", UtcDateTime, "Instant in UTC of the erasure"),
    column("reason", Text, "Reason that was given for the erasure", null="none was given"),
    info=_says("Versions of numbers whose personal columns were emptied, one row for each"),
)

account_claims = Table(
    "account_claims",
    metadata,
    account_key(),
    column("run_id", ID, "Live run that is about to publish the account"),
    *run_references("run_id"),
    info=_says("Claims of live runs to accounts; the claim of a run that is dead has no effect"),
)

point_budgets = Table(
    "point_budgets",
    metadata,
    column("credential", Text, "Salted digest of the key or of the login's name", primary_key=True),
    column("state", Text, "API points that are left and promised, in a form of vnsync's own"),
    column("roster", Text, "Accounts that the token reaches, as JSON, for other processes", null="not asked for yet"),
    column("roster_at", UtcDateTime, "Instant in UTC at which the roster was asked for", null="not asked for yet"),
    column("leased_until", UtcDateTime, "Instant in UTC until which one process asks for the roster", null="none does"),
    info=_says("API points that processes of one token share, and its roster; the table may be emptied at any time"),
)

listing_states = Table(
    "listing_states",
    metadata,
    account_key(),
    column("run_id", ID, "Run whose listing the windows describe"),
    column("observed_at", UtcDateTime, "Instant in UTC of that observation"),
    column("version", Text, "Version of vnsync that read the listing"),
    column("drift_entries", Text, "Drift of the listing, as JSON"),
    *run_references("run_id"),
    info=_says("Sync to which the rows of listing_windows belong; both tables may be emptied at any time"),
)

listing_windows = Table(
    "listing_windows",
    metadata,
    account_key(),
    key("after_id", "Id after which the window begins, the lowest 64-bit integer for the first window"),
    column("upto_id", ID, "Highest id of the window", null="the window has no upper end"),
    column("numbers", Integer, "Number of virtual numbers in the window"),
    column("digest", LargeBinary, "Digest of the window's records, by which an unchanged window is recognized"),
    column("control_ids", LargeBinary, "Ids of some numbers of the window for proofs of absence, packed"),
    column("drift_entries", Text, "Drift of the window's records, as JSON"),
    column("ids", LargeBinary, "Ids of the window's numbers, packed"),
    column("digests", LargeBinary, "Digests of the window's records, packed"),
    column("phones", LargeBinary, "Keys made of the window's phone numbers, packed"),
    info=_says("Fingerprints of the last listing, one row for each window of ids, so that a quiet day reads little"),
)
