"""The project database: what its tables hold, and the numbered functions that made them.

Three things are kept: what the disk held at the last scan (a cache that a scan
renews), a log of everything that was said about images (rows are added, never
changed or removed) and a few facts.

::

    files            one row a path on disk, as of the last scan
      path             relative to the root, bytes, '/' between folders
      size, mtime_ns   a file with both unchanged is not read again
      hash             the content, or NULL with the reason why it cannot be read
      reason
    images           one row a content ever seen: labels hang on it, paths are aliases
      hash             hex of BLAKE2b, 16 bytes
      claim            what its folders say, as JSON [[class, ...], split]; a scan
                       imports only where this changed
      unusable         why it cannot be decoded, else NULL

    steps            one row a thing done: a page of labels, an import, an undo
      step             1, 2, 3, ...: the order of everything
      time             UTC, ISO 8601
      what             'labels', 'scan', 'labels.csv', 'undo', ...
      imported         1 when the step came from a file or a folder, not a person
      undoes           the step that this one takes back, else NULL
    label_events     what a step said of the class of an image
      step, image      the image by its hash
      label            the class, or NULL: no class
      kind             human confirmed audit unsure none_of_these retracted imported
      blind            1 when no suggestion was shown on purpose
      flagged          1 when the person marked the image for a second look
      annotator        who, '' when nobody was named
      suggestion, suggestion_probability, model_version    what was shown, and by what
      q                probability with which the image was picked, NULL when not drawn
      milliseconds     from showing the image to the answer
    split_events     what a step said of the split and the group of an image
      step, image
      split            train, validation, test, '' (none) or NULL (nothing said)
      grouping         images of one group stay on one side, '' or NULL as above
    class_events     what a step said of a class
      step, kind       added renamed merged
      name             the class
      into_name        its new name, or the class it went into

    near_duplicates  confirmed pairs a < b of images that show the same picture
    settings         key and JSON value

A step counts unless a later step that counts undoes it: so an undo is a row, an
undo of an undo is a redo, and one row undoes a whole page or import.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable


def m001_tables(connection: sqlite3.Connection) -> None:
    """Make every table of the first version."""
    for statement in _TABLES.split(";"):
        connection.execute(statement)


MIGRATIONS: list[Callable[[sqlite3.Connection], None]] = [m001_tables]
"""Applied in order; the n-th takes a database of version n-1 to n. Append only."""


_TABLES = """
CREATE TABLE files (path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
                    hash TEXT, reason TEXT) WITHOUT ROWID;
CREATE INDEX files_hash ON files (hash);
CREATE TABLE images (hash TEXT PRIMARY KEY, claim TEXT NOT NULL DEFAULT '[[], ""]',
                     unusable TEXT) WITHOUT ROWID;
CREATE TABLE steps (step INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL,
                    what TEXT NOT NULL, imported INTEGER NOT NULL DEFAULT 0,
                    undoes INTEGER REFERENCES steps);
CREATE TABLE label_events (id INTEGER PRIMARY KEY, step INTEGER NOT NULL REFERENCES steps,
                           image TEXT NOT NULL REFERENCES images, label TEXT, kind TEXT NOT NULL,
                           blind INTEGER NOT NULL, flagged INTEGER NOT NULL,
                           annotator TEXT NOT NULL, suggestion TEXT, suggestion_probability REAL,
                           model_version TEXT, q REAL, milliseconds INTEGER);
CREATE INDEX label_events_step ON label_events (step);
CREATE TABLE split_events (id INTEGER PRIMARY KEY, step INTEGER NOT NULL REFERENCES steps,
                           image TEXT NOT NULL REFERENCES images, split TEXT, grouping TEXT);
CREATE TABLE class_events (id INTEGER PRIMARY KEY, step INTEGER NOT NULL REFERENCES steps,
                           kind TEXT NOT NULL, name TEXT NOT NULL, into_name TEXT);
CREATE TABLE near_duplicates (a TEXT NOT NULL REFERENCES images, b TEXT NOT NULL REFERENCES images,
                              PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID
"""
