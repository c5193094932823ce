"""Write the reference of the command line from the commands themselves.

``python docs/generate_cli.py`` writes ``docs/reference/cli.md``; with ``--check`` it only tells
whether the page is up to date. A test does the same.
"""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from handful.cli import main

PAGE = Path(__file__).parent / "reference" / "cli.md"
Row = tuple[str, str]  # option and meaning
_INTRODUCTION = """# Command line

This page is written by `docs/generate_cli.py` from the commands themselves; `handful COMMAND --help`
prints the same.

Results go to standard output, progress and messages to standard error. The exit code is 0 when all
went well, 1 when the job could not be done (one message says why and what to do), 2 when the
command was written wrongly, and 130 after Ctrl-C. Any option may also stand in a
[settings file](../how-to/settings.md); those of a method of `handful adapt` in a section such as `[adapt.finetune]`.
"""


def reference() -> str:
    """Return the page."""
    assert isinstance(main, click.Group)
    context = main.make_context("handful", [], resilient_parsing=True)
    return "\n".join([_INTRODUCTION, *_sections(main, context, "##", [])])


def _sections(
    group: click.Group, parent: click.Context, heading: str, shared: list[Row]
) -> Iterator[str]:
    """Yield a section a command, those of a group's own commands one level deeper."""
    for name in group.list_commands(parent):
        command = group.commands[name]
        with click.Context(command, info_name=name, parent=parent) as context:
            yield "\n".join(_section(command, context, heading, shared))
            if isinstance(command, click.Group):
                common = _shared(command, context)
                yield "\n".join(["The options of every method:\n", *_table(common)])
                yield from _sections(command, context, heading + "#", common)


def _section(
    command: click.Command, context: click.Context, heading: str, shared: list[Row]
) -> Iterator[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"{heading} {context.command_path}\n"
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    yield from (_paragraph(text) + "\n" for text in paragraphs)
    yield f"```text\n{usage}\n```\n"
    rows = [] if isinstance(command, click.Group) else _rows(command, context)
    if shared and set(shared) <= set(rows):
        rows = [row for row in rows if row not in shared]
        yield "Beside the options of every method:\n"
    if rows:
        yield from _table(rows)


def _rows(command: click.Command, context: click.Context) -> list[Row]:
    """Return option and meaning of every option."""
    options = (p for p in command.get_params(context) if isinstance(p, click.Option))
    return [record for option in options if (record := option.get_help_record(context))]


def _shared(group: click.Group, context: click.Context) -> list[Row]:
    """Return the options that three in four commands of a group have."""
    found = [row for command in group.commands.values() for row in _rows(command, context)]
    return [row for row, n in Counter(found).items() if 4 * n >= 3 * len(group.commands)]


def _table(rows: list[Row]) -> Iterator[str]:
    yield "| option | meaning |\n|---|---|"
    yield from (f"| `{_code(name)}` | {_cell(text)} |" for name, text in rows)
    yield ""


def _paragraph(text: str) -> str:
    """Return a paragraph of help; one whose lines click keeps, after a backspace, as a block."""
    first, _, rest = text.partition("\n")
    return f"```text\n{rest}\n```" if first == "\b" else text


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
