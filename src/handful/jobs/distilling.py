"""Train a small student on what a model file says of a folder's images, and compare the two honestly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handful import __version__
from handful.adapt import Budget, Hardware, Recipe
from handful.backbones import save_backbone
from handful.core import AdaptError, Estimate, write_atomically
from handful.heads import LinearClassifier
from handful.jobs.adaptation import kept_recipe
from handful.jobs.adapted import origin_facts
from handful.jobs.backbone import RUN_RECORD, BackboneChoice
from handful.jobs.lessons import Lessons, choose_lessons
from handful.jobs.reporting import as_json
from handful.jobs.semisupervised import IMAGES
from handful.jobs.student import compare_student, sizes_and_speeds, student_sentence, write_student
from handful.jobs.teacher import Lecture, Teacher, open_lecture
from handful.project import Image
from handful.report import training_plot

if TYPE_CHECKING:
    from handful.adapt import Distil, Distilling, Network, Pixels, TrainingData

STUDENT = "efficientnet_lite0#12"
"""The packaged network's first twelve blocks: a fifth of its weights."""
_FEWEST = 2  # images of a step, which the norm of the head needs
_METHOD = "distil"


@dataclass(frozen=True)
class Distillation:
    """What can be chosen of a distillation.

    Parameters
    ----------
    student : str, default="efficientnet_lite0#12"
        A name that `handful.adapt.load_network` takes, such as ``"timm:mobilenetv3_small_050"``;
        ``NAME#K`` is the first K blocks of a network.
    weights : Path, optional
        Weights for a timm student.
    download : bool, default=False
        Whether missing timm weights may be fetched.
    scratch : bool, default=False
        Begin with random weights.
    size : int, default=128
        Side in pixels of what the student sees.
    budget : Budget, default=10 minutes
        Of training.
    batch_size : int, default=64
    rate : float, default=1e-3
        Highest learning rate.
    labelled_share : float, default=0.25
        Share of a step's images that have a label of their own, in (0, 1).
    options : mapping, default={}
        Arguments of `handful.adapt.Distilling`.
    hardware : Hardware, optional
    """

    student: str = STUDENT
    weights: Path | None = None
    download: bool = False
    scratch: bool = False
    size: int = 128
    budget: Budget = field(default_factory=lambda: Budget(600.0, "seconds"))
    batch_size: int = 64
    rate: float = 1e-3
    labelled_share: float = 0.25
    options: dict[str, Any] = field(default_factory=dict)
    hardware: Hardware = field(default_factory=Hardware)


@dataclass(frozen=True)
class DistilResult:
    """What ``distil`` made.

    Parameters
    ----------
    folder : Path
        The run, a backbone that `handful.fit` takes.
    bundle : Path
        The student's model file.
    sentence : str
        How the two compare.
    facts : dict
        The content of ``adapt.json``.
    """

    folder: Path
    bundle: Path
    sentence: str
    facts: dict[str, Any] = field(repr=False)


def distil(
    images: Path | str,
    teacher: Path | str,
    output: Path | str | None = None,
    *,
    settings: Distillation | None = None,
    random_state: int = 0,
    project_dir: Path | None = None,
    quiet: bool = False,
) -> DistilResult:
    """Train a student on a teacher's answers; a run that was killed goes on when the call is made again.

    Parameters
    ----------
    images : Path or str
        The folder: images without a label, and with one. Its test split is never learnt from and
        alone is measured on, for no model file says which other labels it saw.
    teacher : Path or str
        A model file of `handful.fit`, with any preprocessing.
    output : Path or str, optional
        A further copy of the student's model file, which is ``student.handful`` of the run.
    settings : Distillation, optional
    random_state : int, default=0
    project_dir : Path, optional
        Where the state is kept, ``.handful`` in the folder by default.
    quiet : bool, default=False
        Show no progress.

    Returns
    -------
    DistilResult

    Raises
    ------
    AdaptError
        If there is no unlabelled image, a label that the teacher does not know, or no image of
        which the teacher is sure, or training fails.
    BackboneError, BundleError, ProjectError
        As their names say.
    """
    from handful.adapt import train  # noqa: F401  # that the extra is missing is said before anything long begins

    path = Path(teacher)
    master, settings = Teacher(path), settings or Distillation()
    with open_lecture(Path(images), master, project_dir=project_dir, quiet=quiet) as lecture:
        run = DistilRun(lecture, path, settings, random_state, quiet)
        record = run.folder / RUN_RECORD
        if not record.is_file():
            facts = json.dumps(as_json(run.taught()), indent=1, ensure_ascii=False)
            write_atomically(record, facts.encode())
            run.clean()
    facts = json.loads(record.read_text(encoding="utf-8"))
    if output is not None:
        write_atomically(Path(output), run.bundle.read_bytes())
    return DistilResult(run.folder, Path(output or run.bundle), facts["sentence"], facts)


@dataclass
class DistilRun:
    """One distillation of one folder."""

    lecture: Lecture
    path: Path
    settings: Distillation
    random_state: int
    quiet: bool

    def __post_init__(self) -> None:
        from handful.adapt import Distilling

        if not 0 < self.settings.labelled_share < 1:
            raise AdaptError(
                f"The share of labelled images must be in (0, 1). Got {self.settings.labelled_share!r}."
            )
        if self.settings.hardware.devices > 1:
            raise AdaptError("Distillation takes one device.")
        try:
            self.how: Distilling = Distilling(**self.settings.options)
        except (TypeError, ValueError) as error:
            raise AdaptError(str(error)) from error
        content = [f"{i.hash} {i.label} {i.split}" for i in self.lecture.work.images]
        what = [repr((self.settings, self.random_state)), self.lecture.teacher.spec.fingerprint]
        key = hashlib.blake2b("\n".join(what + content).encode(), digest_size=4).hexdigest()
        self.folder = self.lecture.work.project.folder / "runs" / f"adapt-{_METHOD}-{key}"
        self.bundle = self.folder / "student.handful"

    def taught(self) -> dict[str, Any]:
        """Train, export and compare; return what is recorded."""
        from handful.adapt import Held, export_network, save_network, train

        lessons = choose_lessons(
            self.lecture, self.how, self.folder / "pseudo_labels.jsonl", random_state=self.random_state,
            quiet=self.quiet,
        )  # fmt: skip
        network = self._network()
        n = len(lessons.learnt)
        pixels = self._pixels(network, [*lessons.learnt, *lessons.held])
        data = self._data(network, pixels.subset(np.arange(n)), lessons)
        look = None
        if lessons.held:
            said = self.lecture.said([image.hash for image in lessons.held])[0].argmax(axis=1)
            held = pixels.subset(np.arange(n, len(pixels)))
            look = Held(held, said, self.settings.size, network.mean, network.std)
        method = self._method(network, lessons)
        recipe = train(
            method, data, self._planned(method, data), self.folder, look=look,
            hardware=self.settings.hardware, quiet=self.quiet,
        )  # fmt: skip
        network = self._recorded(network, lessons)
        save_network(network, self.folder / "network.safetensors")
        backbone = export_network(network)
        head = LinearClassifier(*method.linear(), self.lecture.teacher.classes)
        figures = compare_student(self.lecture, lessons, backbone, head, quiet=self.quiet)
        write_student(
            self.bundle, self.lecture, lessons, backbone, head, figures["after"],
            random_state=self.random_state, quiet=self.quiet,
        )  # fmt: skip
        save_backbone(backbone, self.folder)
        return self._facts(recipe, lessons, figures)

    def clean(self) -> None:
        """Remove the states and the decoded images of a run that is done."""
        for path in [*self.folder.glob("state-*.safetensors"), self.folder / "checkpoint.json",
                     *(self.folder / "pixels").glob("*.npy")]:  # fmt: skip
            path.unlink(missing_ok=True)

    def _network(self) -> Network:
        from handful.adapt import load_network

        own, seen = self.settings, self.lecture.teacher.spec.preprocess
        network = load_network(
            own.student, weights=own.weights, download=own.download, scratch=own.scratch,
            preprocess={"size": own.size, "crop": seen.crop, "white": seen.white},
            random_state=self.random_state,
        )  # fmt: skip
        if not network.takes(own.size):
            raise AdaptError(
                f"{own.student!r} takes no images of {own.size} pixels. Give another --size."
            )
        return network

    def _method(self, network: Network, lessons: Lessons) -> Distil:
        import torch

        from handful.adapt import Distil

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            try:
                return Distil(network, labels=lessons.labels, size=self.settings.size, how=self.how)
            except ValueError as error:  # of a view
                raise AdaptError(str(error)) from error

    def _pixels(self, network: Network, images: Sequence[Image]) -> Pixels:
        from handful.adapt import Pixels

        return Pixels(
            [i.path for i in images], [i.hash for i in images], network.preprocess, self.folder / "pixels",
            quiet=self.quiet,
        )  # fmt: skip

    def _data(self, network: Network, images: Any, lessons: Lessons) -> TrainingData:
        from handful.adapt import TrainingData

        names = [image.hash for image in lessons.learnt]
        return TrainingData(images, names, lessons.targets, network.mean, network.std)

    def _planned(self, method: Distil, data: TrainingData) -> Recipe:
        """Return the recipe, its steps worked out once and kept in the run."""
        from handful.adapt import plan

        def make() -> Recipe:
            own = self.settings
            mixed = bool((data.targets >= 0).any())
            recipe = Recipe(
                steps=1, batch_size=max(own.batch_size, _FEWEST), rate=own.rate, random_state=self.random_state,
                labelled_share=own.labelled_share if mixed else None,
            )  # fmt: skip
            recipe = plan(method, data, recipe, own.budget, own.hardware)
            if recipe.batch_size < _FEWEST:
                raise AdaptError("One image is too few to learn from. Add images.")
            return recipe

        return kept_recipe(self.folder, make)

    def _recorded(self, network: Network, lessons: Lessons) -> Network:
        """Write down what the student learnt from, and return its network with that record."""
        from handful.adapt import read_log

        n = int((lessons.targets >= 0).sum())
        labelled = {
            i.hash: int(c) for i, c in zip(lessons.learnt[:n], lessons.targets, strict=False)
        }
        others = sorted({image.hash for image in lessons.learnt[n:]})
        content = {"format_version": 1, "labelled": labelled, "unlabelled": others}
        write_atomically(self.folder / IMAGES, json.dumps(content).encode())
        title = f"{_METHOD}, {len(labelled) + len(others)} images"
        plot = training_plot(read_log(self.folder), title)
        write_atomically(self.folder / "training.svg", plot.encode())
        before = "" if self.settings.scratch else f"{network.pretrained_on}, then "
        return replace(
            network, name=f"{network.name}+{_METHOD}", saw_labels_of=frozenset(labelled),
            pretrained_on=f"{before}{len(labelled) + len(others)} images of a folder ({_METHOD} from "
            f"{self.lecture.teacher.bundle.info['backbone']['name']})",
        )  # fmt: skip

    def _facts(
        self, recipe: Recipe, lessons: Lessons, figures: dict[str, Estimate]
    ) -> dict[str, Any]:
        files = sizes_and_speeds(self.bundle, self.path)
        return {
            "format_version": 1, "handful": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"), "method": _METHOD,
            "random_state": self.random_state, "origin": origin_facts(BackboneChoice()),
            "teacher_file": self.lecture.teacher.spec.fingerprint, "student_network": self.settings.student,
            "options": asdict(self.how), "scratch": self.settings.scratch, "train_size": self.settings.size,
            "recipe": asdict(recipe), "n_images": len(self.lecture.work.images),
            "unlabelled": lessons.counts, "temperature": lessons.temperature, "better": None, "kept": True,
            **figures, **files, "sentence": student_sentence(figures, files),
        }  # fmt: skip
