"""Definitions of tables, indexes and views as each database reports them, and the additions of others."""
