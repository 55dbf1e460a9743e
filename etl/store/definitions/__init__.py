"""Definitions of tables, indexes and views as each database tells them, and what others added to them."""
