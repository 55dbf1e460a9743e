"""Pure: what numbers, tables, windows and runs are. Nothing here has a clock, a network or a database."""
