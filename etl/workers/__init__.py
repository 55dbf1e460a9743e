"""Transformation of a first load's pages: in a separate process for large accounts, otherwise in this process."""
