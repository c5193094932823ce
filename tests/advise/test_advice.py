"""Ranking, and what is ruled out: by the labels, the pool, the names, the machine, the budget."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import click
import pytest

from handful.advise import Advice, Case, Data, Evidence, Gain, Machine, Row, Trial, advise
from handful.cli import main
from handful.core import Estimate
from handful.heads import Verdict

BARE, FULL = Machine(2, 8.0, torch=False, gpu=False), Machine(2, 8.0, torch=True, gpu=False)
MEASURED = Estimate(0.7, 0.6, 0.78, 60, "accuracy", "cross-validation")
GAINS = {
    "prototypes": Gain(-0.02, 0.02, 60),
    "semi_supervised": Gain(0.06, 0.02, 60),
    "names_and_labels": Gain(0.01, 0.02, 60),
}
MORE = Estimate(0.05, 0.0, 0.1, 60, "gain in accuracy", "curve")
TRIAL = Trial(MEASURED, GAINS, MORE, verdict=Verdict("spreading", "They help."))
NAMES = Estimate(0.5, 0.3, 0.7, 60, "accuracy of the names", "labels")
DATA = Data(2000, 1940, {"a": 20, "b": 20, "c": 20}, ("a", "b", "c"))
CASE = Case(DATA, FULL, TRIAL, NAMES, folder="photos")
NOTHING = Trial(Estimate.not_measurable("accuracy", "there is no label"))
UNLABELLED = Case(Data(500, 500), BARE, NOTHING)
ROWS = tuple(
    Row(name, plan, 20, 10, 0.74 + gain, 0.72, source, minutes=minutes)
    for name in ("one", "two", "three")
    for plan, gain, source, minutes in (
        ("finetune", 0.0, "finetune_few", 4.0),
        ("self_supervised", 0.02, "continued", 5.0),
        ("prototypes", -0.03, "advise", None),
    )
)


def plans(case: Case, rows: tuple[Row, ...] = ROWS) -> Advice:
    return advise(case, Evidence(rows))


def why(case: Case, name: str) -> str:
    return next(plan.ruled_out for plan in plans(case).plans if plan.name == name)


def test_plans_come_in_the_order_of_what_they_are_worth() -> None:
    found = plans(CASE)
    able = [plan for plan in found.plans if not plan.ruled_out]
    assert able == sorted(able, key=lambda plan: -plan.worth)
    assert found.best is not None and found.best.name == "semi_supervised"
    assert found.plans[0].name == "label_more"  # 11 points for 50 labels
    assert "Without it, probe that learns from unlabelled images too: 76.0 %" in found.sentence
    ruled_out = [bool(plan.ruled_out) for plan in found.plans]
    assert ruled_out == sorted(ruled_out)
    for plan in able:
        assert plan.command.startswith("handful ") and "photos" in plan.command
        assert plan.accuracy.how


def test_every_plan_is_answered_for() -> None:
    names = {plan.name for plan in plans(CASE).plans}
    assert names == {plan.name for plan in plans(UNLABELLED).plans} and len(names) == 9


@pytest.mark.parametrize(
    ("case", "plan", "reason"),
    [
        (UNLABELLED, "probe", "there is no label"),
        (UNLABELLED, "zero_shot", "no class has a name yet"),
        (UNLABELLED, "distil", "neither a label nor a name"),
        (CASE, "zero_shot", "there are labels"),
        (replace(CASE, machine=BARE), "finetune", r"pip install 'handful\[train\]'"),
        (replace(CASE, machine=BARE), "self_supervised", "torch is not there"),
        (replace(CASE, names=None, why_no_names="needs a package"), "names_and_labels", "a package"),
        (replace(CASE, why_no_pool="Every one is a copy."), "semi_supervised", "Every one is a copy$"),
        (replace(CASE, trial=replace(TRIAL, verdict=Verdict("probe", "They harm."))),
         "semi_supervised", "They harm"),
        (replace(CASE, data=replace(DATA, classes={"a": 60})), "probe", "all labels are of one class, 'a'"),
        (replace(CASE, data=replace(DATA, classes={"a": 60, "b": 1})), "finetune", "a single label"),
        (replace(CASE, data=replace(DATA, classes={"a": 99, "b": 99})), "semi_supervised", "99 labels a class"),
        (replace(CASE, data=replace(DATA, images=62, unlabelled=2)), "semi_supervised", "2 unlabelled images"),
        (replace(CASE, data=replace(DATA, images=62, unlabelled=2)), "self_supervised", "62 images are too few"),
        (replace(CASE, data=replace(DATA, unlabelled=0)), "label_more", "every image has a label"),
        (replace(CASE, options=("--tiles", "2")), "finetune", "without --tiles"),
        (replace(CASE, names=replace(NAMES, value=0.35)), "names_and_labels", "right for 35 %.*guessing gives 33 %"),
        (replace(CASE, budget=10), "finetune", "takes about 20 minutes, and the budget is 10"),
    ],
)  # fmt: skip
def test_what_is_ruled_out_says_why(case: Case, plan: str, reason: str) -> None:
    assert re.search(reason, why(case, plan)), why(case, plan)


def test_zero_labels_without_names_can_only_be_labelled() -> None:
    found = plans(UNLABELLED)
    assert found.best is None
    assert [plan.name for plan in found.plans if not plan.ruled_out] == ["label_more"]
    assert "Label 50 more first: no forecast" in found.sentence


def test_zero_labels_with_names_have_the_forecast_of_the_names() -> None:
    case = replace(UNLABELLED, data=replace(UNLABELLED.data, named=("a", "b c")), names=NAMES)
    found = plans(case)
    assert found.best is not None and found.best.accuracy == NAMES
    assert found.best.command == "handful fit photos --classes 'a,b c'".replace("photos", "IMAGES")
    label = next(plan for plan in found.plans if plan.name == "label_more")
    assert label.accuracy.is_measured and label.labels == 50


def test_a_budget_too_small_for_anything_leaves_nothing() -> None:
    slow = replace(TRIAL, seconds=dict.fromkeys(("probe", *GAINS), 60.0))
    assert plans(replace(CASE, trial=slow, budget=60)).best is not None
    found = plans(replace(CASE, trial=slow, budget=0.01))
    assert found.best is None and all(plan.ruled_out for plan in found.plans)
    assert found.sentence.startswith("No plan can be carried out here")


def test_training_must_be_worth_its_minutes() -> None:
    def row(name: str, gain: float, minutes: float) -> Row:
        return Row(name, "finetune", 20, 10, 0.72 + gain, 0.72, "finetune_few", minutes=minutes)

    trial = replace(TRIAL, gains={})
    case = replace(CASE, trial=trial, names=None, data=replace(DATA, images=60, unlabelled=0))
    for gain, minutes, best in ((0.05, 4.0, "finetune"), (0.005, 40.0, "probe")):
        found = plans(case, (row("one", gain, minutes), row("two", gain, minutes)))
        assert found.best is not None and found.best.name == best


def test_a_forecast_names_its_evidence_and_nothing_that_was_left_out() -> None:
    def told(evidence: Evidence) -> str:
        found = advise(CASE, evidence)
        return next(plan.accuracy.how for plan in found.plans if plan.name == "finetune")

    evidence = Evidence(ROWS)
    assert "finetune_few on one, two, three" in told(evidence)
    assert "finetune_few on one, three" in told(evidence.without("two"))
    gone = evidence.without("one").without("two").without("three")
    assert "no benchmark has tried it" in told(gone)


def test_more_labels_are_forecast_from_the_curve_and_from_other_sets() -> None:
    found = plans(replace(CASE, why_no_pool="None."))
    label = next(plan for plan in found.plans if plan.name == "label_more")
    assert label.accuracy.value == pytest.approx(0.75)
    assert label.accuracy.low < 0.75 - (MEASURED.value - MEASURED.low)
    assert (label.labels, label.command) == (50, "handful label photos")


def test_options_of_the_backbone_stand_in_every_command() -> None:
    project = ("--project", "a state")
    case = replace(CASE, folder="my photos", options=("--backbone", "timm:x y"), project=project)
    for plan in plans(case).plans:
        assert "'my photos'" in plan.command and plan.command.endswith("--project 'a state'")
        assert ("--backbone 'timm:x y'" in plan.command) is (plan.name != "distil")


def test_every_command_can_be_given(tmp_path: Path) -> None:
    options = ("--backbone", "timm:x", "--size", "64", "--crop", "0,0,1,0.5", "--download")
    case = replace(CASE, options=options, project=("--project", str(tmp_path)))
    for plan in plans(case).plans:
        words = shlex.split(plan.command)[1:]
        context = main.make_context("handful", [], resilient_parsing=True)
        context.resilient_parsing = False
        command: click.Command = main
        while isinstance(command, click.Group):
            name, words = words[0], words[1:]
            command = command.commands[name]
            if isinstance(command, click.Group):
                context = command.make_context(name, [*words], parent=context)
        given = command.make_context(name, [*words], parent=context).params
        assert given["images"] == Path("photos")


def test_everything_is_json() -> None:
    for case in (CASE, UNLABELLED, replace(CASE, machine=Machine(1, float("nan"), False, True))):
        written = json.dumps(plans(case).as_dict(), allow_nan=False)
        assert json.loads(written)["data"]["images"] == case.data.images
