"""``python -m handful``: the command line, where ``handful`` is not on the path."""

from __future__ import annotations

from handful.cli import main

if __name__ == "__main__":
    main()
