"""Where to cut the backbone for a folder's labelled images."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from handful.adapt import Budget, Hardware
from handful.core import AdaptError, write_atomically
from handful.jobs.backbone import BackboneChoice
from handful.jobs.labelled import load_labelled
from handful.jobs.workspace import open_workspace
from handful.report import CutCurve, cut_plot, standing_alone

_NAMES = {
    "AnB": "AnB: pretrained, frozen",
    "AnB+": "AnB+: pretrained, trained on",
    "BnB": "BnB: own blocks, frozen",
    "BnB+": "BnB+: own blocks, trained on",
    "probe": "probe on the block's vectors",
}
_BASE = "base"


@dataclass(frozen=True)
class CutResult:
    """What ``cut`` found.

    Parameters
    ----------
    folder : Path
        Of the run, with ``cut-report.json`` and ``cut.svg``.
    sentence : str
        The advice.
    facts : dict
        The content of ``cut-report.json``.
    """

    folder: Path
    sentence: str
    facts: dict[str, Any] = field(repr=False)


def cut(
    images: Path | str,
    *,
    backbone: BackboneChoice | None = None,
    budget: Budget | None = None,
    train_size: int = 64,
    hardware: Hardware | None = None,
    random_state: int = 0,
    project_dir: Path | None = None,
    quiet: bool = False,
) -> CutResult:
    """Measure how many blocks of a backbone to keep as they are, on a folder's labelled images.

    A command that was stopped goes on when it is given again.

    Parameters
    ----------
    images : Path or str
        The folder. Its test split is never seen.
    backbone : BackboneChoice, optional
        The packaged one by default.
    budget : Budget, default=10 minutes
        In seconds.
    train_size : int, default=64
        Side of the images in pixels.
    hardware : Hardware, optional
    random_state : int, default=0
    project_dir, quiet
        As in `handful.fit`.

    Raises
    ------
    AdaptError
        If the labels are too few or the budget is too small.
    """
    from handful.adapt import CutSettings, Pixels, TrainingData, cut_report, load_network

    choice, budget = backbone or BackboneChoice(), budget or Budget(600.0, "seconds")
    if choice.tiles > 1:
        raise AdaptError("A backbone is cut on whole images. Leave out --tiles.")
    if budget.unit != "seconds":
        raise AdaptError("The budget of a cut is a time, such as 10m.")
    opened = open_workspace(
        Path(images), choice, needs_labels=True, project_dir=project_dir, quiet=quiet
    )
    with opened as work:
        data = load_labelled(work, quiet=quiet)
        rows = np.flatnonzero(~data.is_test)
        own = [data.images[row] for row in rows]
        targets = np.unique(data.y[rows], return_inverse=True)[1].astype(np.int64)
        settings = CutSettings(seconds=budget.amount, random_state=random_state)
        content = "\n".join(f"{image.hash} {image.label}" for image in own)
        key = hashlib.blake2b(
            f"{settings} {choice} {train_size}\n{content}".encode(), digest_size=4
        ).hexdigest()
        folder = work.project.folder / "runs" / f"adapt-cut-{key}"
        network = load_network(
            choice.name,
            weights=choice.weights,
            download=choice.download,
            preprocess={"size": train_size},
        )
        own_settings = work.backbone.spec.preprocess
        preprocess = replace(network.preprocess, crop=own_settings.crop, white=own_settings.white)
        hashes = [image.hash for image in own]
        pixels = Pixels(
            [image.path for image in own], hashes, preprocess, folder / "pixels", quiet=quiet
        )
        report = cut_report(
            network, TrainingData(pixels, hashes, targets, network.mean, network.std), folder, settings,
            hardware=hardware, quiet=quiet,
        )  # fmt: skip
    shutil.rmtree(folder / "pixels", ignore_errors=True)
    facts = {"format_version": 1, "random_state": random_state, **report.as_dict()}
    write_atomically(folder / "cut-report.json", json.dumps(facts, indent=1).encode())
    curves = [CutCurve(name, report.curve(arm)) for arm, name in _NAMES.items()]
    ((_, base),) = report.curve(_BASE)
    plot = standing_alone(cut_plot(curves, base=base, keep=report.keep))
    write_atomically(folder / "cut.svg", plot.encode())
    return CutResult(folder, report.sentence, facts)
