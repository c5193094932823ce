"""Labelling a folder on a page: the session behind it, one idea a file."""

from handful.jobs.labelling.session import Labelling

__all__ = ["Labelling"]
