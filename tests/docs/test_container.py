"""What the container files promise, checked without Docker."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from handful.cli import main

ROOT = Path(__file__).parents[2]
LINES = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text("utf-8")).splitlines()


def instructions(name: str) -> list[str]:
    return [line.removeprefix(f"{name} ").strip() for line in LINES if line.startswith(f"{name} ")]


def test_the_base_image_is_a_python_we_support_and_never_latest():
    for image in instructions("FROM"):
        version = re.fullmatch(r"python:(\d+)\.(\d+)-slim( AS build)?", image)
        assert version is not None
        assert (int(version[1]), int(version[2])) >= (3, 11)


def test_it_does_not_run_as_root_and_keeps_no_package_cache():
    assert instructions("USER")[-1] not in ("root", "0")
    assert all("--no-cache-dir" in line for line in LINES if "pip install" in line)


def test_the_command_is_one_that_handful_takes():
    name, *rest = json.loads(instructions("CMD")[-1])
    parent = main.make_context("handful", [], resilient_parsing=True)
    context = main.commands[name].make_context(name, rest, parent=parent, resilient_parsing=True)
    assert context.params["host"] == "0.0.0.0"
    assert str(context.params["port"]) == instructions("EXPOSE")[0] == "8000"


def test_what_is_copied_is_not_ignored():
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    }
    for line in instructions("COPY"):
        if not line.startswith("--from"):
            *sources, _ = line.split()
            assert set(sources) <= kept
            assert all((ROOT / source).exists() for source in sources)


def test_compose_demands_a_token_and_grants_nothing():
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra 'dev'")
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["classify"]
    assert ":?" in service["environment"]["HANDFUL_TOKEN"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert all(volume.endswith(":ro") for volume in service["volumes"])
