"""A Data API to try and test against: a seeded world of virtual numbers, and the vendor's API over it.

`world` holds what exists and lets it change, `api` answers JSON-RPC requests about it, `transport` and `server` carry
them in-process or over loopback, `faults` misbehaves on request. Nothing here imports the rest of the package: the
sandbox is written from the vendor's description alone, so that it can judge the pipeline.
"""
