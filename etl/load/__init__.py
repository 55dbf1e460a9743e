"""Loading: staging, one diff for all data tables, and the transaction that publishes an account."""
