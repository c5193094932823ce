"""One training of an adaptation: on some of its images, into a folder, unless that was done before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.backbones import OnnxBackbone, is_saved, load_saved, save_backbone
from handful.core import AdaptError, Array, Int, write_atomically
from handful.jobs.adaptation import SUPERVISED, build
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

    def trained(self, folder: Path, rows: Int) -> OnnxBackbone:
        """Train on some rows into a folder, unless that was done, and return the exported backbone."""
        if is_saved(folder):
            return load_saved(folder)
        from handful.adapt import TrainingData, export_network, read_log, save_network, train

        run, network = self.run, self.run.network()
        targets = self.codes[rows]
        names = [self.images[row].hash for row in rows]
        size = run.side_of(network)
        data = TrainingData(self._pixels().subset(rows), names, targets, network.mean, network.std)
        try:
            method = build(
                run.method,
                network,
                run.settings,
                targets=targets,
                vectors=self.frozen[rows],
                size=size,
                random_state=run.random_state,
            )
        except (TypeError, ValueError) as error:  # an option that is unknown or out of range
            raise AdaptError(str(error)) from error
        if run.method == SUPERVISED and method.can_cache:
            data = _cached(
                network, method, data, size, run.folder / "pixels" / f"{folder.name}.npy"
            )
        recipe = run.planned(method, data)
        look = None if run.method == SUPERVISED else _look(data, run)
        run.recipe = train(
            method, data, replace(recipe, batch_size=min(recipe.batch_size, len(rows))), folder,
            look=look, hardware=run.settings.hardware, quiet=run.quiet,
        )  # fmt: skip
        if run.method == SUPERVISED:
            method.finish()
        network = self._recorded(network, names)
        save_network(network, folder / "network.safetensors")
        plot = training_plot(read_log(folder), f"{run.method}, {len(names)} images")
        write_atomically(folder / "training.svg", plot.encode())
        save_backbone(export_network(network), folder)
        for state in [*folder.glob("state-*.safetensors"), folder / "checkpoint.json"]:
            state.unlink(missing_ok=True)
        return load_saved(folder)

    def _pixels(self) -> Pixels:
        from handful.adapt import Pixels

        preprocess = replace(self.run.work.backbone.spec.preprocess, size=self.run.size)
        paths, hashes = [i.path for i in self.images], [i.hash for i in self.images]
        return Pixels(paths, hashes, preprocess, self.run.folder / "pixels", quiet=self.run.quiet)

    def _recorded(self, network: Network, names: Sequence[str]) -> Network:
        run = self.run
        seen = f"{len(names)} images of a folder ({run.method})"
        before = "" if run.settings.scratch else f"{network.pretrained_on}, then "
        saw = frozenset(names) if run.method == SUPERVISED else frozenset()
        return replace(
            network,
            name=f"{network.name}+{run.method}",
            pretrained_on=before + seen,
            saw_labels_of=saw,
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
