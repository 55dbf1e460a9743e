"""Queries of the warehouse for people and reports. Nothing here writes."""
