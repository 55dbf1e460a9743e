"""Demo: a made-up agency, synced day by day into a SQLite file."""
