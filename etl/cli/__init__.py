"""Command line: parse, call, print, exit with a code. Modules here import click and the standard library only.

Each command imports everything else when it runs, so that `--help` and `--version` are quick.
"""
