"""What the documentation shows is true of the code: commands, names, links, pages written by a script."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import click
import pytest

from handful.cli import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
ROOMS = sorted(
    path.parent.name
    for path in (ROOT / "src" / "handful").glob("*/__init__.py")
    if path.parent.name != "cli"
)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!`)!?\[[^\]]*\]\(([^)\s]+)\)")
_NO_FILE = {"handful", "demo", "doctor", "backbones"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, language: str) -> list[str]:
    return [code for kind, code in _BLOCK.findall(path.read_text("utf-8")) if kind == language]


def lines() -> Iterator[tuple[str, str]]:
    """Yield (page, command) for every line of handful in a shell block or in backticks."""
    for page in PAGES:
        text = page.read_text("utf-8")
        shown = "\n".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
        inline = re.findall(r"`(handful [a-z]+ [^`]+)`", _BLOCK.sub("", text))
        for line in [*shown, *inline]:
            command = re.sub(r"^\.venv/bin/", "", line.strip())
            if command.startswith("handful ") and "COMMAND" not in command:
                yield name_of(page), command


def parse(command: str) -> click.Context:
    """Let click parse a shown line without running it."""
    words = shlex.split(command, comments=True)[1:]
    words = words[: next((n for n, word in enumerate(words) if word in {">", "|"}), len(words))]
    if len(words) == 1 and words[0] not in _NO_FILE:
        words.append("--help")  # a command named alone
    context = main.make_context("handful", [], resilient_parsing=True)
    context.resilient_parsing = False
    found: click.Command | None = main
    while isinstance(found, click.Group):
        name, found, words = found.resolve_command(context, words)
        assert found is not None
        context = found.make_context(name, [*words], parent=context)
    return context


@pytest.mark.parametrize(("page", "command"), sorted(set(lines())))
def test_every_shown_command_parses(page: str, command: str) -> None:
    assert parse(command).command is not main


def test_a_wrong_command_would_be_noticed() -> None:
    for command in ("fitt photos", "fit photos --tile 3", "fit --no-such", "adapt finetuen photos"):
        with pytest.raises((click.UsageError, click.exceptions.Exit)):
            parse(f"handful {command}")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_python_block_compiles_and_its_names_exist(page: Path) -> None:
    for code in blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("handful"):
                room = import_module(node.module or "")
                missing = {alias.name for alias in node.names} - set(room.__all__)
                assert missing == set(), f"{node.module} does not offer these"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_and_image_exists(page: Path) -> None:
    for target in _LINK.findall(_BLOCK.sub("", page.read_text("utf-8"))):
        address = urlsplit(target)
        if address.scheme:
            continue
        file = (page.parent / unquote(address.path)).resolve() if address.path else page
        assert file.is_file(), target
        if address.fragment and file.suffix == ".md":
            assert address.fragment in anchors(file), target


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as MkDocs makes them."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", page.read_text("utf-8")), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings)
    return {re.sub(r"[-\s]+", "-", heading) for heading in plain}


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return script("generate_cli")


def test_quoted_figures_are_those_of_the_benchmarks() -> None:
    written = script("generate_figures").written
    stale = [
        name_of(page)
        for page in PAGES
        if written(page.read_text("utf-8")) != page.read_text("utf-8")
    ]
    assert stale == [], "run: python docs/generate_figures.py"


def test_the_command_line_reference_is_up_to_date(generator: ModuleType) -> None:
    shown = (DOCS / "reference" / "cli.md").read_text("utf-8")
    assert shown == generator.reference(), "run: python docs/generate_cli.py"


def test_the_command_line_reference_has_every_option(generator: ModuleType) -> None:
    text = generator.reference()
    assert isinstance(main, click.Group)
    for name, command in main.commands.items():
        section = text.partition(f"## handful {name}\n")[2].partition("\n## ")[0]
        own = command.commands.values() if isinstance(command, click.Group) else []
        for option in (option for one in (command, *own) for option in one.params):
            if isinstance(option, click.Option):
                assert option.opts[-1] in section, f"{name} {option.opts}"
        assert all(f"### handful {name} {one.name}\n" in section for one in own)


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_in_the_python_reference(room: str) -> None:
    page = (DOCS / "reference" / "python.md").read_text("utf-8")
    directives = re.findall(r"^::: (\S+)$", page, re.MULTILINE)
    assert f"handful.{room}" in directives
    offered = import_module(f"handful.{room}").__all__
    files = {path.stem for path in (ROOT / "src" / "handful" / room).glob("*.py")}
    hidden = [name for name in offered if name in files]  # mkdocstrings shows the file instead
    assert [n for n in hidden if f"handful.{room}.{n}.{n}" not in directives] == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")]
    assert [page for page in pages if f": {page}\n" not in navigation] == []


def test_the_pages_are_self_contained() -> None:
    settings = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert "highlightjs: false" in settings
    for page in PAGES:
        images = re.findall(r"!\[[^\]]*\]\((https?:[^)]+)\)", page.read_text("utf-8"))
        assert images == [], name_of(page)
    assert (DOCS / "images" / "report.png").stat().st_size < 300_000


def test_the_pages_tell_nothing_of_where_they_were_written() -> None:
    for page in PAGES:
        assert not re.search(r"/(work|root|tmp)/", page.read_text("utf-8")), name_of(page)
