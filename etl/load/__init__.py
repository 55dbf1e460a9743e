"""From rows to the warehouse: staging, one diff for eight tables, and the transaction that publishes an account."""
