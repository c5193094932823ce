"""The rules of the house that no linter checks: rooms are entered by their door, imports stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import handful

ROOT = Path(handful.__file__).parent
ROOMS = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
MODULES = sorted(ROOT.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Return every module of handful that a file imports, by its dotted name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == "handful"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_is_entered_by_its_door(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0]
    inside = {name for name in imports(path) if name.count(".") >= 2 and name.split(".")[1] != own}
    assert inside == set(), "import these from the room's __init__"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    long = [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if len(node.body) > bool(ast.get_docstring(node))
        and (node.end_lineno or 0) - node.body[bool(ast.get_docstring(node))].lineno >= 50
    ]
    assert long == []


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "cli"])
def test_public_names_exist_and_are_documented(room: str) -> None:
    module = import_module(f"handful.{room}")
    for name in module.__all__:
        try:
            value = getattr(module, name)
        except ImportError:  # without the train extra
            continue
        if callable(value) and getattr(value, "__module__", "").startswith("handful"):
            assert value.__doc__, f"{room}.{name} has no docstring"


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import handful", ("numpy", "torch", "onnxruntime", "sklearn")),
        (
            "import handful.cli",
            ("numpy", "torch", "onnxruntime", "sklearn", "matplotlib", "starlette"),
        ),
        ("from handful.jobs import predict", ("torch", "sklearn", "matplotlib", "starlette")),
        ("from handful.jobs import fit", ("torch", "matplotlib", "starlette", "timm")),
        ("import handful.backbones, handful.heads, handful.measure", ("torch", "timm")),
    ],
)
def test_importing_stays_light(statement: str, absent: tuple[str, ...]) -> None:
    code = f"import sys; {statement}; print([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
