"""Whether rotation, colour and crops mean anything in a folder's images, before time is spent on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handful.core import Int, stream
from handful.images import decode
from handful.jobs.backbone import BackboneChoice
from handful.jobs.workspace import Workspace, open_workspace
from handful.project import Image

if TYPE_CHECKING:
    from handful.adapt import Verdict

_MOST = 150  # images that are looked at


def check_images(
    images: Path | str,
    *,
    backbone: BackboneChoice | None = None,
    random_state: int = 0,
    project_dir: Path | None = None,
    quiet: bool = False,
) -> list[Verdict]:
    """Return what a frozen backbone says of rotation, colour and crops in a folder's images.

    Parameters
    ----------
    images : Path or str
        The folder; its test split is left out.
    backbone : BackboneChoice, optional
        The packaged one by default.
    random_state : int, default=0
    project_dir, quiet
        As in `handful.fit`.
    """
    from handful.adapt import CHECKS

    choice = backbone or BackboneChoice()
    with open_workspace(Path(images), choice, project_dir=project_dir, quiet=quiet) as work:
        own = [image for image in work.images if image.split != "test"]
        names = sorted({image.label for image in own if image.label is not None})
        targets = [-1 if i.label is None else names.index(i.label) for i in own]
        return pretext_verdicts(work, own, np.array(targets, np.int64), CHECKS, {}, random_state)


def pretext_verdicts(
    work: Workspace,
    images: Sequence[Image],
    targets: Int,
    checks: Sequence[str],
    options: Mapping[str, Any],
    random_state: int,
) -> list[Verdict]:
    """Return the verdicts on some of the images, for the views that a method's options ask for."""
    from handful.adapt import check_pretext

    rows = np.sort(stream(random_state, "pretext images").permutation(len(images))[:_MOST])
    preprocess = work.backbone.spec.preprocess
    pixels = np.stack([decode(images[row].path, preprocess) for row in rows])
    views = {key: options[key] for key in ("scale", "jitter", "grayscale") if key in options}
    return check_pretext(
        pixels, work.backbone, targets[rows], checks=checks, random_state=random_state, **views
    )
