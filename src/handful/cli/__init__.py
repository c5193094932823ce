"""The command line: a thin skin over `handful.jobs`, one file a command."""

from handful.cli.main import main

__all__ = ["main"]
