"""Sandbox for trying and testing: a seeded world of virtual numbers, and the vendor's Data API over it.

`world` contains customers and numbers and changes them, `api` answers JSON-RPC requests about them, `transport` and
`server` serve it in-process or over loopback, `faults` makes answers wrong on request. No module here imports the rest
of the package: the sandbox is written from the vendor's description alone, so that it can judge the pipeline.
"""
