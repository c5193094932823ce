"""Train a better backbone on a folder, and say with an interval whether it is one."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handful import __version__
from handful.backbones import OnnxBackbone, is_saved, load_saved
from handful.core import (
    AdaptError,
    Int,
    MeasureError,
    ProjectError,
    write_atomically,
)
from handful.heads import LinearProbe, TemperatureScaled
from handful.jobs.adaptation import (
    PRETEXT,
    RECIPE,
    SEMI_SUPERVISED,
    WITH_LABELS,
    Adaptation,
    check_method,
    kept_recipe,
    n_folds,
    recipe_of,
    train_side,
)
from handful.jobs.adapted import origin_facts, vectors_of
from handful.jobs.adapting_part import Part
from handful.jobs.backbone import RUN_RECORD, BackboneChoice
from handful.jobs.labelled import Labelled, check_labels, load_labelled
from handful.jobs.methods import heads
from handful.jobs.pretext import pretext_verdicts
from handful.jobs.reporting import as_json
from handful.jobs.semisupervised import (
    BEST,
    TrainingPool,
    check_two_labels,
    doubt,
    training_pool,
    unlabelled_facts,
)
from handful.jobs.verdict import is_refused, sentence
from handful.jobs.workspace import Workspace, open_workspace
from handful.measure import BeforeAfter, before_after, held_out_folds

if TYPE_CHECKING:
    from handful.adapt import Network, Recipe, TrainingData, Verdict

_PARTS = 4  # a measured run is trained without one part in four of the labels
_FEWEST_IMAGES = 32
_KEPT = ("log.jsonl", "training.svg", "network.safetensors", "backbone.onnx", "backbone.json")


@dataclass(frozen=True)
class AdaptResult:
    """What ``adapt`` made.

    Parameters
    ----------
    folder : Path
        The run. It holds ``backbone.onnx`` and its record unless it was refused.
    better : bool or None
        What measuring says; None where it cannot be measured.
    sentence : str
        The verdict in words.
    facts : dict
        The content of ``adapt.json``.
    """

    folder: Path
    better: bool | None
    sentence: str
    facts: dict[str, Any] = field(repr=False)


def adapt(
    method: str,
    images: Path | str,
    *,
    backbone: BackboneChoice | None = None,
    settings: Adaptation | None = None,
    random_state: int = 0,
    project_dir: Path | None = None,
    quiet: bool = False,
) -> AdaptResult:
    """Train a backbone on a folder's images, measure it against the one it came from, export it.

    A run that was killed goes on when the same call is made again.

    Parameters
    ----------
    method : {"finetune", "consistency", "noisy-student", "rotation", "masked", "contrastive", "predictive", "instance"}
        Fine-tuning learns from the labels, consistency training and Noisy Student
        from labels and unlabelled images, the others from the images alone.
    images : Path or str
        The folder. Its test split is never seen.
    backbone : BackboneChoice, optional
        Where to begin; the packaged one by default.
    settings : Adaptation, optional
        Budget, sizes, and what else can be chosen.
    random_state : int, default=0
    project_dir : Path, optional
        Where the state is kept, ``.handful`` in the folder by default.
    quiet : bool, default=False
        Show no progress.

    Returns
    -------
    AdaptResult

    Raises
    ------
    AdaptError
        If there is too little to train on, the budget is too small, or training fails.
    BackboneError, ProjectError, StoreError
        As their names say.
    """
    check_method(method)
    from handful.adapt import train  # noqa: F401  # that the extra is missing is said before anything long begins

    choice, settings = backbone or BackboneChoice(), settings or Adaptation()
    if choice.tiles > 1:
        raise AdaptError("A backbone is adapted on whole images. Leave out --tiles.")
    compared = BackboneChoice(size=choice.size, crop=choice.crop) if settings.scratch else choice
    opened = open_workspace(
        Path(images),
        compared,
        needs_labels=method in WITH_LABELS,
        project_dir=project_dir,
        quiet=quiet,
    )
    with opened as work:
        run = AdaptRun(work, choice, method, settings, random_state, quiet)
        path = run.folder / RUN_RECORD
        if not path.is_file() or (settings.anyway and not is_saved(run.folder)):
            facts = run.with_labels() if method in WITH_LABELS else run.without_labels()
            write_atomically(
                path, json.dumps(as_json(facts), indent=1, ensure_ascii=False).encode()
            )
        facts = json.loads(path.read_text(encoding="utf-8"))
        return AdaptResult(run.folder, facts["better"], facts["sentence"], facts)


@dataclass
class AdaptRun:
    """One adaptation of one folder."""

    work: Workspace
    choice: BackboneChoice
    method: str
    settings: Adaptation
    random_state: int
    quiet: bool

    def __post_init__(self) -> None:
        spec = self.work.backbone.spec
        if any(image.hash in spec.saw_labels_of for image in self.work.images):
            raise AdaptError(
                f"{spec.name!r} was trained on labels of this folder, on which what comes of it could not "
                "be measured. Begin with the backbone that it came from."
            )
        self.images = [image for image in self.work.images if image.split != "test"]
        self.size = train_side(self.method, self.settings, spec.preprocess.size)
        self.recipe: Recipe | None = None
        with_labels, with_pool = self.method in WITH_LABELS, self.method in SEMI_SUPERVISED
        if with_pool and self.settings.hardware.devices > 1:
            raise AdaptError(f"{self.method!r} trains on one device. Leave out --devices.")
        content = [f"{i.hash} {i.label if with_labels else ''}" for i in self.images]
        if with_pool:  # copies of test images are left out
            content += [f"{i.hash} test" for i in self.work.images if i.split == "test"]
        own = replace(self.settings, anyway=False)
        what = [repr((self.method, own, self.choice, self.random_state)), spec.fingerprint]
        key = hashlib.blake2b("\n".join(what + content).encode(), digest_size=4).hexdigest()
        self.folder = self.work.project.folder / "runs" / f"adapt-{self.method}-{key}"

    def with_labels(self) -> dict[str, Any]:
        """Fine-tune without a part of the labels, measure on it, then on all if that helped."""
        data = load_labelled(self.work, quiet=self.quiet)
        check_labels(data, None)
        train = np.flatnonzero(~data.is_test)
        images, y, groups = [data.images[row] for row in train], data.y[train], data.groups[train]
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise AdaptError(
                f"{self.method!r} needs labels of two classes. There is one, {classes[0]!r}."
            )
        part = Part(self, images, codes.astype(np.int64), data.X[train], groups, classes.tolist())
        pool = self._pool(data, part) if self.method in SEMI_SUPERVISED else None
        folds, kept = [], []
        splits = held_out_folds(y, groups, n_folds=_PARTS, random_state=self.random_state)
        parts = n_folds(self.settings, len(y))
        for number, split in enumerate(splits[:parts], 1):
            name = f"fold-{number}"
            held_out = [images[row].hash for row in split.test]
            _of_this_split(self.folder / name, held_out)
            rows = pool.joined(split.train) if pool else split.train
            backbone = part.trained(self.folder / name, rows)
            folds.append(
                replace(split, X=vectors_of(self.work, backbone, images, quiet=self.quiet))
            )
            kept.append({"backbone": name, "held_out": held_out})
        before = heads(BEST, part.frozen[len(y) :])[BEST] if pool else None
        figures = before_after(
            TemperatureScaled(LinearProbe()), data.X[train], None, y, head_before=before,
            groups=groups, folds=folds,
        )  # fmt: skip
        if self.settings.anyway or not is_refused(figures):
            rows = np.arange(len(y))
            part.trained(self.folder, pool.joined(rows) if pool else rows)
        facts = {**self._facts(figures), "folds": kept}
        if pool:
            facts["unlabelled"] = unlabelled_facts(self.folder, pool)
            facts["sentence"] += doubt(facts["unlabelled"])
        return facts

    def _pool(self, data: Labelled, part: Part) -> TrainingPool:
        """Return the unlabelled images, which the part has after its labelled ones from now on."""
        check_two_labels(data.y[~data.is_test])
        pool = training_pool(self.work, data, quiet=self.quiet)
        names = [image.hash for image in pool.images]
        part.images = [*part.images, *pool.images]
        part.codes = np.concatenate([part.codes, np.full(len(names), -1)])
        part.frozen = np.concatenate([part.frozen, self.work.store.rows(names)])
        return pool

    def without_labels(self) -> dict[str, Any]:
        """Train on the images alone, then measure on the labels there are."""
        if len(self.images) < _FEWEST_IMAGES:
            raise AdaptError(
                f"{len(self.images)} images are too few to learn from without labels: it takes "
                f"{_FEWEST_IMAGES}, and a thousand to expect something. Add images, or fine-tune on labels."
            )
        names = sorted({image.label for image in self.images if image.label is not None})
        codes = [-1 if i.label is None else names.index(i.label) for i in self.images]
        frozen = self.work.store.rows([image.hash for image in self.images])
        targets = np.array(codes, np.int64)
        verdicts = self._checked(targets)
        candidate = self.folder / "candidate"
        if is_saved(self.folder):
            backbone = load_saved(self.folder)
        else:
            no_groups = np.full(len(targets), -1)
            part = Part(self, self.images, targets, frozen, no_groups, names)
            backbone = part.trained(candidate, np.arange(len(self.images)))
        figures = self._measured(backbone)
        if not is_saved(self.folder) and (self.settings.anyway or not is_refused(figures)):
            for name in _KEPT:
                write_atomically(self.folder / name, (candidate / name).read_bytes())
            shutil.rmtree(candidate)
        return {**self._facts(figures), "pretext": verdicts}

    def _checked(self, targets: Int) -> list[Verdict]:
        """Say, before time is spent, whether what the method learns from means anything here."""
        checks = PRETEXT[self.method]
        if is_saved(self.folder) or not checks:
            return []
        verdicts = pretext_verdicts(
            self.work, self.images, targets, checks, self.settings.options, self.random_state
        )
        for verdict in verdicts:
            if verdict.warn and not self.quiet:
                print(f"Careful: {verdict.sentence}", file=sys.stderr)  # noqa: T201
        return verdicts

    def _measured(self, backbone: OnnxBackbone) -> BeforeAfter | None:
        try:
            data = load_labelled(self.work, quiet=self.quiet)
            rows = np.flatnonzero(~data.is_test)
            images = [data.images[row] for row in rows]
            after = vectors_of(self.work, backbone, images, quiet=self.quiet)
            return before_after(
                TemperatureScaled(LinearProbe()), data.X[rows], after, data.y[rows],
                groups=data.groups[rows], random_state=self.random_state,
            )  # fmt: skip
        except (ProjectError, MeasureError):  # no label, or one class
            return None

    def network(self, name: str | None = None) -> Network:
        """Return the network to begin with, or another one by its name."""
        from handful.adapt import load_network

        own = self.work.backbone.spec.preprocess
        changed = {"size": own.size, "crop": own.crop, "white": own.white}
        if name is not None:
            changed.pop("size")
            return load_network(
                name, download=self.choice.download, scratch=self.settings.scratch, preprocess=changed,
                random_state=self.random_state,
            )  # fmt: skip
        return load_network(
            self.choice.name, weights=self.choice.weights, download=self.choice.download,
            scratch=self.settings.scratch, preprocess=changed, random_state=self.random_state,
        )  # fmt: skip

    def side_of(self, network: Network) -> int:
        """Return the side of the views: the default, or the network's own if it takes no other.

        Raises
        ------
        AdaptError
            If the network takes no images of the side that was asked for.
        """
        own = network.preprocess.size
        size = train_side(self.method, self.settings, own)
        if not network.takes(size):
            if self.settings.train_size:
                raise AdaptError(
                    f"{network.name!r} takes images of {own} pixels only. Leave out --train-size."
                )
            size = own
        self.size = size
        return size

    def planned(self, method: Any, data: TrainingData) -> Recipe:
        """Return the recipe, its steps worked out once and kept in the run."""
        from handful.adapt import plan

        def make() -> Recipe:
            settings = self.settings
            runs = 1
            if self.method in WITH_LABELS:
                runs += n_folds(settings, sum(image.label is not None for image in self.images))
            runs *= settings.options.get("generations", 1)
            budget = replace(settings.budget, amount=settings.budget.amount / runs)
            if settings.budget.unit == "epochs":
                budget = settings.budget
            recipe = recipe_of(self.method, settings, self.random_state)
            return plan(method, data, recipe, budget, settings.hardware)

        return kept_recipe(self.folder, make)

    def _facts(self, figures: BeforeAfter | None) -> dict[str, Any]:
        shutil.rmtree(self.folder / "pixels", ignore_errors=True)
        measured = figures is not None and figures.gain.is_measured
        planned = self.folder / RECIPE  # where all was trained before a kill
        recipe = self.recipe or (json.loads(planned.read_text()) if planned.is_file() else None)
        return {
            "format_version": 1, "handful": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "method": self.method, "random_state": self.random_state,
            "origin": origin_facts(_compared(self.choice, self.settings)),
            "options": dict(self.settings.options), "scratch": self.settings.scratch, "train_size": self.size,
            "recipe": recipe, "n_images": len(self.images),
            "better": not is_refused(figures) if measured else None,
            "kept": is_saved(self.folder),
            "before": figures.before if figures else None,
            "after": figures.after if figures else None,
            "gain": figures.gain if figures else None,
            "sentence": sentence(
                figures, kept=is_saved(self.folder), pool=self.method in SEMI_SUPERVISED
            ),
        }  # fmt: skip


def _of_this_split(folder: Path, held_out: list[str]) -> None:
    """Drop what was trained before copies or groups were split otherwise: it has seen what would be tested."""
    noted, content = folder / "held_out.json", json.dumps(held_out).encode()
    if folder.is_dir() and not (noted.is_file() and noted.read_bytes() == content):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(noted, content)


def _compared(choice: BackboneChoice, settings: Adaptation) -> BackboneChoice:
    """Return what a new backbone has to beat: where it began, or the packaged one from scratch."""
    return BackboneChoice(size=choice.size, crop=choice.crop) if settings.scratch else choice
