"""Unsealed columns and rows: `verify` need not find an edit of them. docs/chain.md lists the same.

Values of a wrong type are found in these columns too, except in the listing's fingerprints, which are discarded.
"""

from __future__ import annotations

COLUMNS: dict[str, frozenset[str]] = {
    "account_syncs": frozenset(
        {
            "started_at", "strategy", "requests", "retries", "reported_total", "listed_numbers", "unaccounted",
            "suspects", "duplicates", "conflicts", "listed_by_user_id", "listed_by_credential", "viewer_changed",
            "unreachable", "exit_code", "error",
        }
    ),
    "accounts": frozenset({"listed_by_user_id", "listed_by_credential", "described_at", "users_compared_at"}),
    "installations": frozenset({"origin", "bound_at", "run_id"}),
    "first_reported": frozenset({"account_id", "path", "run_id"}),
    "sync_runs": frozenset({"started_at", "finished_at", "status", "exit_code", "source_url", "version", "error"}),
    "quarantine": frozenset({"quarantine_id", "virtual_number_id", "path", "reason", "record"}),
    "erasures": frozenset({"erased_at", "reason"}),
    "source_drift": frozenset({"account_id", "path", "kind", "value", "first_run_id", "last_run_id"}),
    "account_claims": frozenset({"account_id", "run_id"}),
}  # fmt: skip
"""Unsealed columns of rows that are sealed otherwise, by table."""

ROWS: dict[str, str] = {
    "account_syncs": "whose status is held, failed or unreachable",
    "installations": "of bindings after the newest published sync",
    "first_reported": "all",
    "sync_runs": "of runs that published nothing",
    "quarantine": "of a sync that published nothing",
    "source_drift": "all",
    "account_claims": "all",
    "listing_states": "all",
    "listing_windows": "all",
    "point_budgets": "all",
}
"""Tables whose rows may be edited, added and removed, by table."""
