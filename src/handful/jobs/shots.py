"""What a number of labels a class would give on a folder's own images, tried on its labelled ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from handful.core import (
    Estimate,
    MeasureError,
    ProjectError,
    did_you_mean,
    listed,
    write_atomically,
)
from handful.heads import RULES, LinearProbe
from handful.jobs.backbone import BackboneChoice
from handful.jobs.labelled import Labelled, load_labelled
from handful.jobs.workspace import Workspace, open_workspace
from handful.measure import (
    EpisodeReport,
    Realism,
    Tasks,
    evaluate_episodes,
    pretraining_overlap,
    sample_episodes,
)
from handful.report import ShotCurve, shots_plot, standing_alone

SHOTS = (1, 2, 5, 10, 20)
EPISODE_METHODS = (
    "linear_probe", "logistic", "ridge", "shrinkage_lda", "prototypes", "simple_shot", "nearest_cosine"
)  # fmt: skip
_MOST_CURVES = 5
_ALL: Mapping[str, Any] = {"linear_probe": LinearProbe(), **{rule.name: rule for rule in RULES}}


@dataclass(frozen=True)
class EpisodesResult:
    """What ``episodes`` found.

    Parameters
    ----------
    folder : Path
        Of the run, with ``episodes.json`` and ``labels.svg``.
    sentence : str
        What the numbers say.
    facts : dict
        The content of ``episodes.json``.
    """

    folder: Path
    sentence: str
    facts: dict[str, Any] = field(repr=False)


def episodes(
    images: Path | str,
    *,
    shots: Sequence[int] = SHOTS,
    methods: Sequence[str] = EPISODE_METHODS,
    draws: int = 50,
    backbone: BackboneChoice | None = None,
    random_state: int = 0,
    project_dir: Path | None = None,
    quiet: bool = False,
) -> EpisodesResult:
    """Measure what so many labels a class would give, by drawing them again and again from a folder's labels.

    Each draw takes its labels at random, and is tested on all other labelled images of the folder
    but those of the test split. The stated range is that of 95 of 100 such draws on new images mixed like
    the labelled ones: the draws differ, and these images are a sample too.

    Parameters
    ----------
    images : Path or str
        The folder. Its test split is never seen.
    shots : sequence of int, default=(1, 2, 5, 10, 20)
        Labels a class.
    methods : sequence of str
        The first is the one the sentence speaks of. ``linear_probe`` is what `handful.fit` takes by default.
    draws : int, default=50
        At least 2.
    backbone : BackboneChoice, optional
        The packaged one by default.
    random_state : int, default=0
    project_dir, quiet
        As in `handful.fit`.

    Raises
    ------
    ProjectError
        If no image has a label, or there is no such method.
    MeasureError
        If fewer than two classes have two images, or the backbone saw the labels.
    """
    _check(shots, methods, draws)
    choice = backbone or BackboneChoice()
    opened = open_workspace(
        Path(images), choice, needs_labels=True, project_dir=project_dir, quiet=quiet
    )
    with opened as work:
        data = load_labelled(work, quiet=quiet)
        facts = _measured(work, data, sorted(set(shots)), methods, draws, random_state, quiet)
        key = hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=4).hexdigest()
        folder = work.project.folder / "runs" / f"episodes-{key}"
    write_atomically(folder / "episodes.json", json.dumps(facts, indent=1).encode())
    curves = _curves(facts)
    if curves:
        write_atomically(folder / "labels.svg", standing_alone(shots_plot(curves)).encode())
    return EpisodesResult(folder, facts["sentence"], facts)


def _check(shots: Sequence[int], methods: Sequence[str], draws: int) -> None:
    if not shots or min(shots) < 1 or draws < 2:
        raise ProjectError(
            f"Episodes need numbers of labels from 1 on and at least 2 draws. Got {list(shots)} and {draws}."
        )
    strange = [name for name in methods if name not in _ALL]
    if strange or not methods:
        hint = did_you_mean(strange[0], _ALL) if strange else ""
        raise ProjectError(
            f"No method {listed(map(repr, strange))}{hint}. Expected {', '.join(_ALL)}."
        )


def _measured(
    work: Workspace, data: Labelled, shots: Sequence[int], methods: Sequence[str], draws: int,
    random_state: int, quiet: bool,
) -> dict[str, Any]:  # fmt: skip
    _refuse_seen(work, data)
    rows = np.flatnonzero(~data.is_test)
    X, y, groups = data.X[rows], data.y[rows], data.groups[rows]
    table = []
    for n in shots:
        tasks = sample_episodes(
            y, None, n, None, draws, random_state, groups=groups, realism=Realism(fewer_shots=True)
        )
        chosen = {name: _ALL[name] for name in methods}
        report = evaluate_episodes(X, y, tasks, chosen, random_state=random_state, quiet=quiet)
        table.append(_row(n, tasks, report))
    classes = np.unique(y).tolist()
    overlap = pretraining_overlap(work.backbone.spec, classes, dataset=work.project.root.name)
    return {
        "format_version": 1,
        "images": len(rows),
        "classes": classes,
        "draws": draws,
        "random_state": random_state,
        "backbone": work.backbone.spec.name,
        "pretrained_on": work.backbone.spec.pretrained_on,
        "labels": table,
        "warnings": _warnings(table, overlap),
        "sentence": _sentence(table, methods[0]),
    }


def _refuse_seen(work: Workspace, data: Labelled) -> None:
    saw = work.backbone.spec.saw_labels_of
    n = sum(image.hash in saw for image in data.images)
    if n:
        raise MeasureError(
            f"{work.backbone.spec.name!r} saw the labels of {n} of these images, so that few labels would look like "
            "many. Use the backbone it was adapted from."
        )


def _row(n: int, tasks: Tasks, report: EpisodeReport) -> dict[str, Any]:
    """Return the figures of one number of labels; none where half of the classes can't give so many."""
    given = (tasks.support >= 0).sum(axis=2)
    short = [tasks.class_names[c] for c in np.unique(tasks.classes[given < n])]
    how = f"{len(short)} of {tasks.support.shape[1]} classes have too few images to give {n} and keep one to ask"
    lacking = (
        Estimate.not_measurable("accuracy", how)
        if 2 * len(short) > tasks.support.shape[1]
        else None
    )
    return {
        "labels_a_class": n,
        "fewer_labels": short,
        "left_out": list(tasks.left_out),
        "tasks": report.tasks,
        "fingerprint": report.fingerprint,
        "best": report.best,
        "methods": {
            name: {
                "accuracy": (lacking or f.one_task).as_dict(),
                "mean": (lacking or f.elsewhere).as_dict(),
                "calibration_error": (lacking or f.ece).as_dict(),
                "recall": {c: (lacking or e).as_dict() for c, e in f.per_class.items()},
                "transductive": f.transductive,
            }
            for name, f in report.methods.items()
        },
        "differences": {name: e.as_dict() for name, e in report.differences.items()},
    }


def _curves(facts: dict[str, Any]) -> list[ShotCurve]:
    """Return the first method and the four best of the others at the most labels measured."""
    names = list(facts["labels"][0]["methods"])

    def points(name: str) -> list[tuple[int, Estimate]]:
        return [
            (row["labels_a_class"], Estimate.from_dict(row["methods"][name]["accuracy"]))
            for row in facts["labels"] if row["methods"][name]["accuracy"]["value"] is not None
        ]  # fmt: skip

    found = {name: points(name) for name in names}
    if not found[names[0]]:
        return []
    others = sorted(names[1:], key=lambda name: -found[name][-1][1].value)[: _MOST_CURVES - 1]
    return [ShotCurve(name, found[name]) for name in (names[0], *others)]


def _warnings(table: list[dict[str, Any]], overlap: str | None) -> list[str]:
    out = [overlap] if overlap else []
    if table[0]["left_out"]:
        out.append(
            f"Left out, as a class needs two images that are no copies: {listed(map(repr, table[0]['left_out']))}. "
            "With it the task would be harder."
        )
    out += [
        f"At {row['labels_a_class']} labels a class these gave half of their images instead: "
        f"{listed(map(repr, row['fewer_labels']))}."
        for row in table if row["fewer_labels"]
    ]  # fmt: skip
    transductive = [n for n, m in table[0]["methods"].items() if m["transductive"]]
    if transductive:
        out.append(
            f"Transductive, so that the answer to an image depends on the others asked: {listed(transductive)}."
        )
    return out


def _sentence(table: list[dict[str, Any]], method: str) -> str:
    known = [row for row in table if row["methods"][method]["accuracy"]["value"] is not None]
    if not known:
        return f"Nothing can be measured: {table[0]['methods'][method]['accuracy']['how']}."
    parts = [
        f"{row['labels_a_class']} labels a class would give "
        f"{Estimate.from_dict(row['methods'][method]['accuracy']).percent}"
        for row in known[-2:]
    ]
    return f"By {method}, {', '.join(parts)}: 95 of 100 draws of labels lie in the range, on new images."
