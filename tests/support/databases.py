"""Databases on a PostgreSQL of the tests."""

from __future__ import annotations

import psycopg
from sqlalchemy import make_url


def at(server: str, database: str) -> str:
    """The URL of a database on the server that another URL names."""
    return make_url(server).set(database=database, drivername="postgresql").render_as_string(hide_password=False)


def new_database(server: str, name: str) -> str:
    """The URL of an empty database of this name, made for the whole session."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return at(server, name)
