"""vnsync: every virtual number of a CallGear, UIS or CoMagic account in SQL tables, with its whole history."""

__version__ = "0.1.0"
