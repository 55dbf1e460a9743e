"""The command line: parse, call, print, exit code. Modules here import click and the standard library only.

What a command needs beyond that is imported when it runs, so that `--help` and `--version` are quick.
"""
