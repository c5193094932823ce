"""Carry out the best plan that a time budget allows, and say why it was that one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.advise import ADAPTED, METHODS, NAMES, ZERO_SHOT, Advice, Plan
from handful.core import AdaptError, Estimate, ProjectError
from handful.jobs.adaptation import Adaptation
from handful.jobs.advising import advise
from handful.jobs.backbone import BackboneChoice
from handful.jobs.class_texts import ClassTexts, read_classes
from handful.jobs.fitting import OUTPUT, FitResult, Thresholds, fit, refuse_foreign
from handful.project import Project

if TYPE_CHECKING:
    from handful.adapt import Budget

_TRAINING = 0.75  # of the budget: the rest is for looking, embedding anew and fitting


@dataclass(frozen=True)
class _Chosen:
    """What a plan asks of ``fit``."""

    method: str
    backbone: BackboneChoice
    classes: ClassTexts | None = None


@dataclass(frozen=True)
class _Asked:
    """What was asked for."""

    images: Path
    budget: Budget
    backbone: BackboneChoice
    classes: ClassTexts | None
    common: Mapping[str, Any]  # seed, project and progress, the same for every job


def fit_within(
    budget: Budget,
    images: Path | str,
    output: Path | str | None = None,
    *,
    classes: ClassTexts | None = None,
    backbone: BackboneChoice | None = None,
    thresholds: Thresholds | None = None,
    **common: Any,
) -> FitResult:
    """Carry out the best plan that a time allows, and record in the report why it was that one.

    A training that measuring shows to be no better gives way to the next plan.

    Parameters
    ----------
    budget : Budget
        Time, as in ``Budget.parse("30m")``.
    images, output, classes, backbone, thresholds
        As in `handful.fit`.
    **common
        ``random_state``, ``project_dir`` and ``quiet``, as in `handful.fit`.

    Raises
    ------
    ProjectError
        If no plan can be carried out in the time.
    """
    choice = backbone or BackboneChoice()
    asked = _Asked(Path(images), budget, choice, classes, common)
    start, refused = time.monotonic(), []
    if output is None:  # what would refuse the model in the end is said before anything long
        with Project.open(images, project_dir=common.get("project_dir")) as project:
            refuse_foreign(Path(OUTPUT), project)
    advice = advise(images, classes=classes, budget=budget, backbone=choice, **common)
    for plan in advice.able:
        left = budget.amount - (time.monotonic() - start)
        chosen = _prepared(plan, asked, advice, left)
        if isinstance(chosen, str):
            refused.append(f"{plan.title}: {chosen}")
            continue
        why = _why(plan, advice, budget, refused)
        facts = {**advice.as_dict(), "executed": plan.name, "refused": refused, "why": why}
        return fit(
            images, output, classes=chosen.classes, method=chosen.method, backbone=chosen.backbone,
            thresholds=thresholds, advice=facts, **common,
        )  # fmt: skip
    raise ProjectError(_nothing(advice, budget, refused))


def _prepared(plan: Plan, asked: _Asked, advice: Advice, left: float) -> _Chosen | str:
    """Return what to fit, after training where the plan trains; else why it cannot be."""
    if plan.name in (ZERO_SHOT, NAMES):
        classes = asked.classes or read_classes(list(advice.data.named))
        return _Chosen("auto", asked.backbone, classes)
    if plan.name in METHODS:
        return _Chosen(METHODS[plan.name], asked.backbone)
    return _trained(plan, asked, _seconds(plan, asked.budget, left))


def _seconds(plan: Plan, budget: Budget, left: float) -> float:
    """Return how long to train: the same again after a kill, so that the run goes on."""
    wanted = min(60 * plan.minutes, _TRAINING * budget.amount)
    return wanted if wanted <= left else _TRAINING * left


def _trained(plan: Plan, asked: _Asked, seconds: float) -> _Chosen | str:
    """Train for a time, and return the new backbone if it was kept."""
    from handful.adapt import Budget
    from handful.jobs.adapting import adapt

    if seconds <= 0:
        return "no time is left for it"
    settings = Adaptation(Budget(round(seconds), "seconds"))
    try:
        result = adapt(
            ADAPTED[plan.name],
            asked.images,
            backbone=asked.backbone,
            settings=settings,
            **asked.common,
        )
    except AdaptError as error:
        return str(error)
    if not result.facts["kept"]:
        return result.sentence
    return _Chosen("auto", replace(asked.backbone, name=str(result.folder), weights=None))


def _why(plan: Plan, advice: Advice, budget: Budget, refused: list[str]) -> str:
    """Return why this plan was carried out, and on which evidence."""
    if refused:
        said = f"{plan.title} is the next best plan, {_words(plan.accuracy)}, after {'; '.join(refused)}"
    else:
        minutes = f"{budget.amount / 60:g} minutes"
        said = f"{plan.title} promises most within {minutes}: {_words(plan.accuracy)}"
        following = next((other for other in advice.able if other is not plan), None)
        said += f"; {following.title} {_words(following.accuracy)}" if following else ""
    return f"{said.rstrip('.')}. {plan.accuracy.how[:1].upper()}{plan.accuracy.how[1:]}."


def _words(accuracy: Estimate) -> str:
    return f"{accuracy.percent} expected" if accuracy.is_measured else "no forecast"


def _nothing(advice: Advice, budget: Budget, refused: list[str]) -> str:
    reasons = [f"{plan.title}: {plan.ruled_out}" for plan in advice.plans if plan.ruled_out]
    said = "; ".join([*refused, *reasons])
    return (
        f"No plan can be carried out within {budget.amount / 60:g} minutes. {said}. Label images "
        "(handful label IMAGES), or leave out --budget."
    )
