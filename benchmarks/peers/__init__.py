"""Whom vnsync is measured beside: programs that load the same source into the same kind of database."""
