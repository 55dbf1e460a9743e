"""How fast vnsync is beside others: `make bench`, or `python -m benchmarks --help`."""
