"""Transforming beside the rest of a sync: in a process of its own where much is to be done, else in this one."""
