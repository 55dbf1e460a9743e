"""vnsync: every virtual number of a CallGear, UIS, CoMagic or Novofon account in SQL tables, with its full history."""

__version__ = "0.1.0"
