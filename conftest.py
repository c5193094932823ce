"""The doctests of the room that trains need torch."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") else ["src/handful/adapt/*"]
