"""An opened folder of images with its vectors: where every job on a folder begins."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from handful.backbones import OnnxBackbone
from handful.core import ImageError, ProjectError, UInt8, stream
from handful.embeddings import VectorStore, embed
from handful.images import Preprocess, decode, may_pass, white_level
from handful.jobs.backbone import BackboneChoice
from handful.project import Image, Project, ScanReport

_DEEP = {".png", ".tif", ".tiff"}


@dataclass
class Workspace:
    """A project, scanned and embedded.

    Parameters
    ----------
    project : Project
        Open.
    scanned : ScanReport
        What the scan found.
    backbone : OnnxBackbone
        The one that made the vectors.
    store : VectorStore
        Has a vector for each of ``images``.
    images : list of Image
        The usable ones, one for each content hash.
    seconds : dict of str to float
        Wall time of each stage.
    """

    project: Project
    scanned: ScanReport
    backbone: OnnxBackbone
    store: VectorStore
    images: list[Image]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the wall time of the block to a stage."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.perf_counter() - start, 3)


@contextmanager
def open_workspace(
    folder: Path,
    choice: BackboneChoice,
    *,
    project_dir: Path | None = None,
    needs_labels: bool = False,
    n_jobs: int | None = None,
    quiet: bool = False,
) -> Iterator[Workspace]:
    """Open a folder's project, scan it and embed what is new.

    Parameters
    ----------
    folder : Path
        The images.
    choice : BackboneChoice
        What to embed with.
    project_dir : Path, optional
        Where the state is kept, ``.handful`` in the folder by default.
    needs_labels : bool, default=False
        Refuse a folder without any label before it is embedded.
    n_jobs : int, optional
        Threads; the usable cores by default.
    quiet : bool, default=False
        Show no progress.

    Raises
    ------
    ProjectError
        If no image is left to work with; the message lists the reasons.
    """
    with Project.open(folder, project_dir=project_dir) as project:
        start = time.perf_counter()
        scanned = project.scan(quiet=quiet)
        scanned.raise_if_empty()
        project.retry_unusable(may_pass)
        images = project.images()
        if needs_labels:
            refuse_unlabelled(project, scanned, [i for i in images if i.label is not None])
        backbone = choice.load(white_of(project, images))
        seconds = {"scan": round(time.perf_counter() - start, 3)}
        store = VectorStore(
            project.folder / "embeddings", backbone.spec.fingerprint, backbone.spec.dim
        )
        workspace = Workspace(project, scanned, backbone, store, [], seconds)
        with workspace.timed("embed"):
            failed = embed(
                store,
                backbone,
                {i.hash: i.path for i in images},
                n_jobs=n_jobs,
                quiet=quiet,
            )
            project.mark_unusable(failed)
        workspace.images = [image for image in images if image.hash not in failed]
        _refuse_empty(project, workspace.images)
        yield workspace


def some_pixels(
    images: Sequence[Image], preprocess: Preprocess, n: int, random_state: int
) -> UInt8:
    """Return the pixels of ``n`` images drawn from those whose files can still be read, or of all.

    Raises
    ------
    ImageError
        If none can.
    """
    found: list[UInt8] = []
    failed: ImageError | None = None
    for row in stream(random_state, "verify").permutation(len(images)):
        try:
            found.append(decode(images[row].path, preprocess))
        except ImageError as error:
            failed = error
        if len(found) == n:
            break
    if not found and failed is not None:
        raise failed
    return np.stack(found)


def project_number(project: Project) -> str:
    """Return the random number by which a model knows the project it was made from."""
    number: str | None = project.setting("number")
    if number is None:
        number = secrets.token_hex(8)
        project.set_setting("number", number)
    return number


def refuse_unlabelled(project: Project, scanned: ScanReport, labelled: list[Image]) -> None:
    """Raise ProjectError, with the ways to give labels, when no image has one."""
    if labelled:
        return
    file = scanned.label_files[0] if scanned.label_files else "labels.csv (columns path,label)"
    raise ProjectError(
        f"None of the {scanned.images} images in {str(project.root)!r} has a label. Put some of them "
        "into folders named like their classes and give the folder that holds these (is it "
        f"{str(project.root.parent)!r}?), or import a file of labels: handful import IMAGES {file}."
    )


def white_of(project: Project, images: list[Image]) -> int | None:
    """Return the white of the data set's 16-bit images, decided once and kept.

    Headers are read again only when files that can be 16-bit came or went.
    """
    white: int | None = project.setting("white")
    deep = [image for image in images if image.path.suffix.lower() in _DEEP]
    looked_at = hashlib.blake2b(
        "".join(sorted(image.hash for image in deep)).encode(), digest_size=16
    ).hexdigest()
    if white is None and project.setting("white_looked_at") != looked_at:
        white = white_level([image.path for image in deep])
        project.set_setting("white", white)
        project.set_setting("white_looked_at", looked_at)
    return white


def _refuse_empty(project: Project, images: list[Image]) -> None:
    if images:
        return
    unusable = project.unusable()
    reasons = "; ".join(f"{bad.name}: {bad.reason}" for bad in unusable[:5])
    raise ProjectError(
        f"None of the {len(unusable)} image files in {str(project.root)!r} can be used ({reasons})."
    )
