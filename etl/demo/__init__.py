"""The demo: a made-up agency whose days are synced into a SQLite file."""
