"""Train a backbone task by task on a folder's classes, and compare it on classes that it never saw."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handful import __version__
from handful.backbones import is_saved, save_backbone
from handful.core import AdaptError, Estimate, Float64, UInt8, write_atomically
from handful.images import may_pass
from handful.jobs.adaptation import kept_recipe
from handful.jobs.adapted import origin_facts
from handful.jobs.adapting import AdaptResult
from handful.jobs.backbone import RUN_RECORD, BackboneChoice
from handful.jobs.episodic import (
    EpisodicTraining,
    check_episodic,
    in_tasks,
    recipe_on_tasks,
)
from handful.jobs.episodic_classes import Roles, class_roles, codes_of, squares_of
from handful.jobs.reporting import as_json
from handful.jobs.workspace import refuse_unlabelled, white_of
from handful.measure import Tasks, over_tasks, sample_episodes
from handful.project import Image, Project
from handful.report import training_plot

if TYPE_CHECKING:
    from handful.adapt import Episodes, Network, Recipe, TrainingData

_TASKS = {
    True: (300, 600),
    False: (100, 200),
}  # that choose and measure; fewer where each is trained on
_QUERIES = 5  # of a class in them
_RANDOM = ("conv4", "conv4_maps", "conv4_strides")  # backbones without pretrained weights
_FLAT = 1e-3  # smallest standard deviation of a colour


def adapt_on_tasks(
    method: str,
    images: Path | str,
    *,
    backbone: BackboneChoice | None = None,
    settings: EpisodicTraining | None = None,
    random_state: int = 0,
    project_dir: Path | None = None,
    quiet: bool = False,
) -> AdaptResult:
    """Train a backbone so that new classes can be told apart from a few images, and export it.

    Every step draws classes and images of them, as a person who has few labels would have. The state that
    is kept is the best on classes that are not trained on; the gain is measured on others,
    where there are enough. A run that was killed goes on when the same call is made again.

    Parameters
    ----------
    method : {"prototypical", "matching", "relation", "maml", "reptile"}
    images : Path or str
        The folder, with labels of four classes or more. Its test split is never seen; a ``validation``
        split of other classes chooses the best state, else some of the classes do.
    backbone : BackboneChoice, optional
        Where to begin, ``conv4`` (random weights, 28 pixels) by default.
    settings : EpisodicTraining, optional
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
        If there are too few classes or images for such tasks, or training fails.
    BackboneError, MeasureError, ProjectError
        As their names say.
    """
    check_episodic(method)
    from handful.adapt import train  # noqa: F401  # that the extra is missing is said before anything long begins

    choice, settings = backbone or BackboneChoice("conv4"), settings or EpisodicTraining()
    if choice.tiles > 1:
        raise AdaptError("A backbone is adapted on whole images. Leave out --tiles.")
    if settings.hardware.devices > 1:
        raise AdaptError("Training on tasks takes one device. Leave out --devices.")
    with Project.open(Path(images), project_dir=project_dir) as project:
        run = TaskRun(
            _labelled(project, quiet), project, choice, method, settings, random_state, quiet
        )
        path = run.folder / RUN_RECORD
        if not path.is_file() or (settings.anyway and not is_saved(run.folder)):
            content = json.dumps(as_json(run.trained()), indent=1, ensure_ascii=False)
            write_atomically(path, content.encode())
            run.clean()
        facts = json.loads(path.read_text(encoding="utf-8"))
        return AdaptResult(run.folder, facts["better"], facts["sentence"], facts)


def _labelled(project: Project, quiet: bool) -> list[Image]:
    """Return the images with a label, those of the test split left out."""
    scanned = project.scan(quiet=quiet)
    scanned.raise_if_empty()
    project.retry_unusable(may_pass)
    labelled = [image for image in project.images() if image.label is not None]
    refuse_unlabelled(project, scanned, labelled)
    return [image for image in labelled if image.split != "test"]


@dataclass
class TaskRun:
    """One training on tasks of one folder."""

    images: list[Image]
    project: Project
    choice: BackboneChoice
    method: str
    settings: EpisodicTraining
    random_state: int
    quiet: bool
    squares: UInt8 = field(init=False, repr=False)
    network: Network = field(init=False, repr=False)

    def __post_init__(self) -> None:
        own = replace(self.settings, anyway=False)
        what = repr((self.method, own, self.choice, self.random_state))
        content = [what, *(f"{i.hash} {i.label} {i.split}" for i in self.images)]
        key = hashlib.blake2b("\n".join(content).encode(), digest_size=4).hexdigest()
        self.folder = self.project.folder / "runs" / f"adapt-{self.method}-{key}"

    @property
    def scratch(self) -> bool:
        """Whether the network begins with random weights."""
        return self.settings.scratch or self.choice.name in _RANDOM

    @cached_property
    def roles(self) -> Roles:
        """The classes by what they are for."""
        return class_roles(
            self.images, share=self.settings.validation_share, way=self.settings.validation_way,
            random_state=self.random_state,
        )  # fmt: skip

    def trained(self) -> dict[str, Any]:
        """Train, choose the best state, measure it, export it if it is better; return what is recorded."""
        from handful.adapt import Shape, Validation, new_method, task_accuracies, train

        self.network = self._loaded()
        self.images, self.squares = squares_of(
            self.project, self.images, self.network.preprocess, quiet=self.quiet
        )
        rows, codes = codes_of(self.images, self.roles.train)
        if self.scratch:
            self.network.mean, self.network.std = _colours(self.squares[rows])
        try:
            shape = Shape(self.settings.way, self.settings.shot, self.settings.query)
            method = new_method(
                self.method,
                self.network,
                shape,
                self.settings.options,
                random_state=self.random_state,
            )
        except (TypeError, ValueError) as error:
            raise AdaptError(str(error)) from error
        episodes = self._episodes(self.roles.train)
        episodes.check(method.shape, "to train on", self.roles.train)
        colours = (self.network.mean, self.network.std)
        choosing, measuring = _TASKS[method.per_image]
        chosen_on = self._validation(self.roles.choose, choosing, 1)
        look = Validation(*chosen_on, *colours, self.folder)
        measured_on = self._validation(self.roles.measure, measuring, 2)
        before = task_accuracies(method, *measured_on, *colours)
        data = self._data(episodes, [self.images[row].hash for row in rows], codes)
        recipe = train(
            method, data, self._planned(method, data), self.folder, look=look,
            hardware=self.settings.hardware, quiet=self.quiet,
        )  # fmt: skip
        best = look.best()
        look.restore(method)
        method.finish(episodes, *colours)
        after = task_accuracies(method, *measured_on, *colours)
        facts = self._facts(recipe, best, before, after, measured_on[1])
        self._exported(facts, method)
        return facts

    def clean(self) -> None:
        """Remove the states of a run that is done."""
        for state in [*self.folder.glob("state-*.safetensors"), self.folder / "checkpoint.json"]:
            state.unlink(missing_ok=True)
        (self.folder / "best.safetensors").unlink(missing_ok=True)

    def _loaded(self) -> Network:
        from handful.adapt import load_network

        changed = {
            "size": self.choice.size, "crop": self.choice.crop, "white": white_of(self.project, self.images)
        }  # fmt: skip
        return load_network(
            self.choice.name, weights=self.choice.weights, download=self.choice.download,
            scratch=self.settings.scratch, random_state=self.random_state,
            preprocess={key: value for key, value in changed.items() if value is not None},
        )  # fmt: skip

    def _episodes(self, names: Sequence[str]) -> Episodes:
        from handful.adapt import Episodes

        rows, codes = codes_of(self.images, names)
        return Episodes(self.squares[rows], codes, rotations=self.settings.rotations)

    def _validation(self, names: Sequence[str], n_tasks: int, seed: int) -> tuple[Episodes, Tasks]:
        """Return images of some classes and tasks of them, all of one shape."""
        settings, episodes = self.settings, self._episodes(names)
        way = min(settings.validation_way, int(episodes.codes.max()) + 1)
        labels = np.array([f"class {code}" for code in episodes.codes])
        tasks = sample_episodes(
            labels,
            way,
            settings.shot,
            min(settings.query, _QUERIES),
            n_tasks,
            2 * self.random_state + seed,
        )
        return episodes, tasks

    def _data(self, episodes: Episodes, names: Sequence[str], codes: Any) -> TrainingData:
        from handful.adapt import TrainingData

        return TrainingData(
            episodes, names, codes, self.network.mean, self.network.std, unit="tasks"
        )

    def _planned(self, method: Any, data: TrainingData) -> Recipe:
        """Return the recipe, its steps worked out once and kept in the run."""
        from handful.adapt import plan

        def make() -> Recipe:
            recipe = recipe_on_tasks(
                self.method, self.settings, self.random_state, scratch=self.scratch
            )
            budget = in_tasks(self.settings, recipe.batch_size, len(data.names))
            return plan(method, data, recipe, budget, self.settings.hardware)

        return kept_recipe(self.folder, make)

    def _facts(
        self, recipe: Recipe, best: float, before: Float64, after: Float64, tasks: Tasks
    ) -> dict[str, Any]:
        kept_apart = self.roles.measure != self.roles.choose
        how = f"{tasks.how}, of {len(self.roles.measure)} classes that were not trained on"
        if not kept_apart:
            how += "; they chose the best state too, so that it is a little too high"
        gain = over_tasks(after - before, "gain", how)
        estimates = {
            "before": over_tasks(before, "accuracy", how), "after": over_tasks(after, "accuracy", how),
            "gain": gain,
        }  # fmt: skip
        better = bool(gain.value > 0)
        kept = better or self.settings.anyway
        settings = asdict(replace(self.settings, hardware=self.settings.hardware))
        return {
            "format_version": 1, "handful": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "method": self.method, "random_state": self.random_state,
            "origin": origin_facts(self._origin()), "scratch": self.scratch,
            "settings": settings, "options": dict(self.settings.options),
            "train_size": self.network.preprocess.size, "recipe": asdict(recipe),
            "n_images": len(self.images), "classes": asdict(self.roles), "best_validation_accuracy": best,
            "better": better, "kept": kept, **estimates, "sentence": _sentence(estimates, kept),
        }  # fmt: skip

    def _origin(self) -> BackboneChoice:
        """Return what the new backbone is compared with by `fit`: where it began, or the packaged one."""
        return BackboneChoice(crop=self.choice.crop) if self.scratch else self.choice

    def _exported(self, facts: dict[str, Any], method: Any) -> None:
        from handful.adapt import export_network, read_log, save_method, save_network

        classes = (*self.roles.train, *self.roles.choose)
        seen = [image for image in self.images if image.label in set(classes)]
        title = f"{self.method}, {len(self.roles.train)} classes"
        plot = training_plot(read_log(self.folder), title)
        write_atomically(self.folder / "training.svg", plot.encode())
        if not facts["kept"]:
            return
        before = "" if self.scratch else f"{self.network.pretrained_on}, then "
        network = replace(
            self.network, name=f"{self.network.name}+{self.method}",
            pretrained_on=f"{before}{len(seen)} images ({self.method}), classes: {'; '.join(classes)}",
            saw_labels_of=frozenset(image.hash for image in seen),
        )  # fmt: skip
        save_network(network, self.folder / "network.safetensors")
        save_method(self.method, method, self.settings.options, self.folder)
        save_backbone(export_network(network), self.folder)


def _colours(squares: UInt8) -> tuple[Any, Any]:
    """Return mean and standard deviation of the colours, in units where white is 1."""
    some = squares[:: max(1, len(squares) // 2000)].reshape(-1, 3) / np.float64(255)
    mean, std = some.mean(axis=0), np.maximum(some.std(axis=0), _FLAT)
    return tuple(mean.round(6).tolist()), tuple(std.round(6).tolist())


def _sentence(estimates: dict[str, Estimate], kept: bool) -> str:
    before, after, gain = (estimates[key] for key in ("before", "after", "gain"))
    verdict = "better" if gain.low > 0 else "better, by no more than luck can give"
    if gain.value <= 0:
        verdict = (
            "no better, and kept because that was asked for"
            if kept
            else "no better, so it is refused"
        )
    return f"{after.percent} of tasks' queries are right, {before.percent} before: {verdict} ({after.how})."
