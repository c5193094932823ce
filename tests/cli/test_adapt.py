from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import handful.jobs
from handful.cli import main
from handful.cli.main import read_settings
from handful.core import AdaptError

Maker = Callable[..., Path]
METHODS = (
    "finetune",
    "consistency",
    "noisy-student",
    "rotation",
    "masked",
    "contrastive",
    "predictive",
    "instance",
    "check",
    "cut",
    "prototypical",
    "matching",
    "relation",
    "maml",
    "reptile",
)
HAS_TORCH = importlib.util.find_spec("torch") is not None


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_explains_itself(method: str) -> None:
    done = run("adapt", method, "--help")
    assert done.exit_code == 0
    assert "IMAGES" in done.output
    assert method in run("adapt", "--help").output


@pytest.mark.parametrize("budget", ["soon", "0s", "10"])
def test_a_budget_that_is_none_is_a_usage_error(budget: str, tmp_path: Path) -> None:
    done = run("adapt", "finetune", tmp_path, "--budget", budget)
    assert done.exit_code == 2
    assert "90s, 10m, 2h" in done.output


@pytest.mark.skipif(HAS_TORCH, reason="torch is installed")
@pytest.mark.parametrize("method", METHODS)
def test_without_torch_one_message_says_what_to_install(method: str, digits: Maker) -> None:
    done = run("adapt", method, digits(3), "-q")
    assert done.exit_code == 1
    assert "pip install 'handful[train]'" in done.output


def test_settings_of_a_method_stand_in_a_section_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "handful.toml"
    file.write_text('[adapt.finetune]\nbudget = "5m"\ntrain-size = 96\n')
    assert read_settings(file) == {"adapt": {"finetune": {"budget": "5m", "train_size": 96}}}
    file.write_text("[adapt.finetun]\nbudget = 3\n[adapt.cut]\nbugdet = 3\n")
    with pytest.raises(Exception, match=r"no command 'adapt\.finetun'") as error:
        read_settings(file)
    assert "[adapt.cut] has no option 'bugdet' (did you mean 'budget'?)" in str(error.value)


def test_what_is_asked_of_training_on_tasks_arrives(
    digits: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def adapt_on_tasks(method: str, images: Path, **given: Any) -> None:
        asked.update(given, method=method)
        raise AdaptError("enough")

    monkeypatch.setattr(handful.jobs, "adapt_on_tasks", adapt_on_tasks)
    done = run(
        "adapt",
        "reptile",
        digits(3),
        "--crop",
        "0,0,0.5,1",
        "--inner-optimizer",
        "adam",
        "--seed",
        3,
    )
    assert done.exit_code == 1 and "enough" in done.output
    assert asked["method"] == "reptile" and asked["random_state"] == 3
    assert asked["backbone"].crop == (0, 0, 0.5, 1)
    assert asked["settings"].options["inner_optimizer"] == "adam"
    assert asked["settings"].options["inner_rate"] is None


@pytest.mark.slow
@pytest.mark.skipif(not HAS_TORCH, reason="needs the train extra")
def test_what_views_are_asked_for_arrives(digits: Maker) -> None:
    folder = digits(8, classes="012", unlabelled=6)
    options = [
        "--size",
        32,
        "--train-size",
        32,
        "--budget",
        "16images",
        "--batch-size",
        8,
        "--device",
        "cpu",
    ]
    views = ["--grayscale", 0, "--jitter", 0, "--scale", 0.6, "--turn"]
    done = run("adapt", "contrastive", folder, *options, *views, "--anyway", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["options"] == {
        "decoupled": False,
        "scale": 0.6,
        "jitter": 0.0,
        "grayscale": 0.0,
        "turn": True,
    }
    assert [verdict["what"] for verdict in facts["pretext"]] == ["colour", "crops"]
    done = run("adapt", "finetune", folder, *options, "--train", "last:99")
    assert done.exit_code == 1
    assert "last:K" in done.output
