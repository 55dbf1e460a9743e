"""Erasure of one number's personal content from the warehouse."""
