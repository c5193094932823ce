"""Write the reference of the command line from the commands themselves.

``python docs/generate_cli.py`` writes ``docs/reference/cli.md``; with ``--check`` it only tells
whether the page is up to date. A test does the same.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from handful.cli import main

PAGE = Path(__file__).parent / "reference" / "cli.md"
_INTRODUCTION = """# Command line

This page is written by `docs/generate_cli.py` from the commands themselves; `handful COMMAND --help`
prints the same.

Results go to standard output, progress and messages to standard error. The exit code is 0 when all
went well, 1 when the job could not be done (one message says why and what to do), 2 when the
command was written wrongly, and 130 after Ctrl-C. Any option may also stand in a
[settings file](../how-to/settings.md).
"""


def reference() -> str:
    """Return the page."""
    assert isinstance(main, click.Group)
    context = main.make_context("handful", [], resilient_parsing=True)
    names = main.list_commands(context)
    sections = ["\n".join(_section(name, main.commands[name], context)) for name in names]
    return "\n".join([_INTRODUCTION, *sections])


def _section(name: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    with click.Context(command, info_name=name, parent=parent) as context:
        yield f"## handful {name}\n"
        yield inspect.cleandoc(command.help or "") + "\n"
        yield f"```text\nhandful {name} {' '.join(command.collect_usage_pieces(context))}\n```\n"
        yield "| option | meaning |\n|---|---|"
        for option in command.get_params(context):
            record = option.get_help_record(context) if isinstance(option, click.Option) else None
            if record is not None:
                yield f"| `{_code(record[0])}` | {_cell(record[1])} |"
        yield ""


def _cell(text: str) -> str:
    """Return text that stands for itself in a cell of a Markdown table."""
    return _code(text).replace("[", "\\[")


def _code(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    page = reference()
    if "--check" in sys.argv:
        sys.exit(
            PAGE.read_text(encoding="utf-8") != page and f"{PAGE} is out of date: run {__file__}"
        )
    PAGE.write_text(page, encoding="utf-8")
