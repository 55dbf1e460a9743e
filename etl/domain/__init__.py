"""Domain, pure: numbers, tables, windows and runs. Nothing here uses a clock, a network or a database."""
