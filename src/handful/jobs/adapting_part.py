"""One training of an adaptation: on some of its images, into a folder, unless that was done before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.backbones import OnnxBackbone, is_saved, load_saved, save_backbone
from handful.core import AdaptError, Array, Int, write_atomically
from handful.jobs.adaptation import (
    CONSISTENCY,
    NOISY_STUDENT,
    SEMI_SUPERVISED,
    SUPERVISED,
    WITH_LABELS,
    build,
)
from handful.jobs.semisupervised import noted, taught, write_counts
from handful.project import Image
from handful.report import training_plot

if TYPE_CHECKING:
    from handful.adapt import Network, Pixels, TrainingData
    from handful.jobs.adapting import AdaptRun


@dataclass
class Part:
    """The images of a run, of which each training takes some rows."""

    run: AdaptRun
    images: Sequence[Image]
    codes: Int
    frozen: Array
    groups: Int
    classes: Sequence[str]

    def trained(self, folder: Path, rows: Int) -> OnnxBackbone:
        """Train on some rows into a folder, unless that was done, and return the exported backbone."""
        if is_saved(folder):
            return load_saved(folder)
        from handful.adapt import TrainingData, export_network, read_log, save_network

        run = self.run
        if run.method in SEMI_SUPERVISED:
            rows = noted(folder, self.images, self.codes, rows)
        network = run.network(run.settings.options.get("student"))
        names = [self.images[row].hash for row in rows]
        size = run.side_of(network)
        pixels = self._pixels(network).subset(rows)
        data = TrainingData(pixels, names, self.codes[rows], network.mean, network.std)
        log = folder
        try:
            if run.method == NOISY_STUDENT:
                found = taught(self, folder, rows, data, size)
                network, run.recipe, log = found.network, found.recipe, found.folder
            else:
                self._train(network, data, rows, folder)
        except (TypeError, ValueError) as error:  # an option that is unknown or out of range
            raise AdaptError(str(error)) from error
        network = self._recorded(network, rows)
        save_network(network, folder / "network.safetensors")
        lines = read_log(log)
        if log != folder:
            write_atomically(folder / "log.jsonl", (log / "log.jsonl").read_bytes())
        plot = training_plot(lines, f"{run.method}, {len(names)} images")
        write_atomically(folder / "training.svg", plot.encode())
        save_backbone(export_network(network), folder)
        for place in {folder, log, *folder.glob("generation-*")}:
            for state in [*place.glob("state-*.safetensors"), place / "checkpoint.json"]:
                state.unlink(missing_ok=True)
        return load_saved(folder)

    def _train(self, network: Network, data: TrainingData, rows: Int, folder: Path) -> None:
        """Train the method on a network, in place."""
        from handful.adapt import Marked, train

        run, size = self.run, self.run.size
        method = build(
            run.method, network, run.settings, targets=data.targets, vectors=self.frozen[rows], size=size,
            random_state=run.random_state,
        )  # fmt: skip
        if run.method == SUPERVISED and method.can_cache:
            data = _cached(
                network, method, data, size, run.folder / "pixels" / f"{folder.name}.npy"
            )
        if run.method == CONSISTENCY:
            data = replace(data, images=Marked(data.images, data.targets))
        recipe = run.planned(method, data)
        look = None if run.method in WITH_LABELS else _look(data, run)
        run.recipe = train(
            method, data, replace(recipe, batch_size=min(recipe.batch_size, len(rows))), folder,
            look=look, hardware=run.settings.hardware, quiet=run.quiet,
        )  # fmt: skip
        if run.method in WITH_LABELS:
            method.finish()
        if run.method == CONSISTENCY:
            write_counts(folder, method.confidence_counts())

    def _pixels(self, network: Network) -> Pixels:
        from handful.adapt import Pixels

        preprocess = replace(network.preprocess, size=self.run.size)
        paths, hashes = [i.path for i in self.images], [i.hash for i in self.images]
        return Pixels(paths, hashes, preprocess, self.run.folder / "pixels", quiet=self.run.quiet)

    def _recorded(self, network: Network, rows: Int) -> Network:
        run = self.run
        labelled = rows[self.codes[rows] >= 0] if run.method in WITH_LABELS else rows[:0]
        seen = f"{len(rows)} images of a folder ({run.method})"
        before = "" if run.settings.scratch else f"{network.pretrained_on}, then "
        return replace(
            network,
            name=f"{network.name}+{run.method}",
            pretrained_on=before + seen,
            saw_labels_of=frozenset(self.images[row].hash for row in labelled),
        )


def _cached(
    network: Network, method: Any, data: TrainingData, size: int, path: Path
) -> TrainingData:
    """Return the data as activations after the blocks in which nothing trains."""
    from handful.adapt import cached_activations

    method.cached = True
    images = cached_activations(network, data.images, method.first, size, path)
    return replace(data, images=images)


def _look(data: TrainingData, run: AdaptRun) -> Any:
    from handful.adapt import watch

    return watch(data, run.size, random_state=run.random_state)
