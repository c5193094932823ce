"""Where to cut: how far up the pretrained blocks are general, measured on the user's own images.

Source: Yosinski et al., "How transferable are features in deep neural
networks?", NIPS 2014, https://arxiv.org/abs/1411.1792. For each number n of
blocks that are kept: AnB (blocks of network A frozen, those above initialised
anew and trained on task B), AnB+ (all of it trained), and the controls BnB and
BnB+, whose kept blocks come from a network of task B itself. What BnB loses
against its base is lost by co-adaptation or for lack of images, not by the
transfer. There, on halves of ImageNet, AnB falls from the middle on, BnB dips in
the middle, and AnB+ ends above the base.

Here A is the pretrained network. B is each half of the user's classes in turn
(all of them, if there are under four). Deviations: B's base is the pretrained
network fine-tuned on B, since a handful of images trains no network; kept
blocks that train on do so at 0.3 of the new ones' rate. A cheap arm goes with
it: the linear probe on the pooled vectors of every block.
"""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from handful.adapt.chain import evaluation
from handful.adapt.cut_parts import (
    CutSettings,
    CutTraining,
    Squares,
    Task,
    even_cuts,
    grafted,
    initialised,
    make_tasks,
    quick_norms,
)
from handful.adapt.cut_table import (
    BASE,
    PROBE,
    RETRAINED,
    SELF,
    SELF_RETRAINED,
    TRANSFER,
    CutReport,
    table,
)
from handful.adapt.feeding import TrainingData
from handful.adapt.loop import plan, train
from handful.adapt.lora import merge_lora
from handful.adapt.network import Network
from handful.adapt.order import seed_of
from handful.adapt.recipe import Budget, Hardware, Recipe
from handful.core import AdaptError, Array, Bool, Int, Progress, listed, write_atomically
from handful.heads import LinearProbe

_FILE = "cut.json"
_FEWEST_STEPS, _MOST_EPOCHS = 8, 30
_FOR_TRAINING = 0.8  # of the budget; the rest is for probes and tests
_TRIED = 10_000.0  # seconds of the budget by which a step is timed
_CHUNK = 64
_MOST_BYTES = 2**30  # of activations that are computed once


def cut_report(
    network: Network,
    data: TrainingData,
    folder: Path,
    settings: CutSettings | None = None,
    *,
    hardware: Hardware | None = None,
    quiet: bool = False,
) -> CutReport:
    """Measure every cut and say where to cut; a report that was killed goes on from its folder.

    Parameters
    ----------
    network : Network
        Is not changed.
    data : TrainingData
        Labelled images as Pillow squares (`Pixels`); rows without a label are
        left out. Never the locked test set.
    folder : Path
        Of this report alone: finished cells are in its ``cut.json``.
    settings : CutSettings, optional
    hardware : Hardware, optional
    quiet : bool, default=False

    Raises
    ------
    AdaptError
        If fewer than two classes have two images, a cut is out of range, the
        budget is too small, or the folder holds another report.
    """
    settings = settings or CutSettings()
    grid = _Grid(network, data, folder, settings, hardware or Hardware())
    grid.run(quiet)
    return table(
        grid.hits(), [task.test for task in grid.tasks],
        n_train=round(float(np.mean([len(task.train) for task in grid.tasks]))),
        n_blocks=network.n_blocks, steps=grid.state["steps"],
    )  # fmt: skip


@dataclass
class _Grid:
    """All cells of a report, finished ones in ``cut.json``."""

    network: Network
    data: TrainingData
    folder: Path
    settings: CutSettings
    hardware: Hardware
    tasks: list[Task] = field(init=False)
    cuts: tuple[int, ...] = field(init=False)
    state: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        n_blocks = self.network.n_blocks
        self.cuts = self.settings.cuts or even_cuts(n_blocks)
        wrong = [cut for cut in self.cuts if not 1 <= cut <= n_blocks]
        if wrong:
            raise AdaptError(
                f"Cuts are from 1 to {n_blocks}, the number of blocks. Got {listed(wrong)}."
            )
        self.tasks = make_tasks(self.data.targets, self.settings)
        copied = merge_lora(copy.deepcopy(self.network.chain).cpu())
        self.pretrained = quick_norms(copied.requires_grad_(True))
        self.dim = self.network.dim
        self.squares = Squares(self.data.images, self.network.preprocess.size)
        self.state = self._opened()

    def cells(self) -> Iterator[tuple[int, str, int]]:
        """Yield task, arm and number of kept blocks, in the order of work."""
        for number in range(len(self.tasks)):
            yield from ((number, PROBE, kept) for kept in range(1, self.network.n_blocks + 1))
            yield number, BASE, self.network.n_blocks
            for kept in self.cuts:
                for arm in (TRANSFER, RETRAINED, SELF, SELF_RETRAINED):
                    yield number, arm, kept

    def run(self, quiet: bool) -> None:
        """Do what is left."""
        left = [cell for cell in self.cells() if _key(*cell) not in self.state["cells"]]
        if not left:
            return
        if self.state["steps"] is None:
            self.state["steps"] = self._steps()
        with Progress("cut", len(left), unit="cells", quiet=quiet) as progress:
            for number, arm, kept in left:
                if _key(number, arm, kept) not in self.state["cells"]:
                    self._add(number, self._measured(number, arm, kept))
                progress.advance()

    def hits(self) -> dict[tuple[str, int], list[Bool]]:
        """Return the hits of every cell, a task each."""
        found: dict[tuple[str, int], list[Bool]] = {}
        for number, arm, kept in self.cells():
            text = self.state["cells"][_key(number, arm, kept)]
            found.setdefault((arm, kept), []).append(np.array(list(text)) == "1")
        return found

    def _measured(self, number: int, arm: str, kept: int) -> dict[tuple[str, int], Bool]:
        if arm == PROBE:
            return {(PROBE, n): hits for n, hits in self._probed(self.tasks[number]).items()}
        method, data, below = self._prepared(number, arm, kept)
        run = self.folder / "runs" / _key(number, arm, kept)
        train(method, data, self._recipe(number, kept), run, hardware=self.hardware, quiet=True)
        method.cpu()
        if arm == BASE:
            safetensors.torch.save_file(
                {key: value.contiguous() for key, value in method.chain.state_dict().items()},
                self._base(number),
            )
        hits = self._hits(self.tasks[number], below, method)
        shutil.rmtree(run)
        return {(arm, kept): hits}

    def _prepared(
        self, number: int, arm: str, kept: int, most: int | None = None
    ) -> tuple[CutTraining, TrainingData, nn.Sequential]:
        """Return method, data and the frozen blocks below what the method computes."""
        task, source = self.tasks[number], copy.deepcopy(self.pretrained)
        if arm in (SELF, SELF_RETRAINED) and most is None:
            source.load_state_dict(safetensors.torch.load_file(self._base(number)))
        chain = source
        if arm != BASE:
            seed = seed_of(self.settings.random_state, 3, number)
            chain = grafted(source, initialised(self.network, source, seed), kept)
        below = self._frozen(chain, kept, len(task.train)) if arm in (TRANSFER, SELF) else chain[:0]
        method = CutTraining(
            chain[len(below) :], dim=self.dim, n_classes=task.n_classes, kept=len(chain) if arm == BASE else kept
        )  # fmt: skip
        rows = task.train[:most]
        images = self._activations(below, rows) if len(below) else self.squares.of(rows)
        names = [self.data.names[row] for row in rows]
        return (
            method,
            TrainingData(images, names, task.y_train[:most], self.data.mean, self.data.std),
            below,
        )

    def _frozen(self, chain: nn.Sequential, kept: int, n_images: int) -> nn.Sequential:
        """Freeze the kept blocks; return those whose activations are computed once, all or none."""
        below = chain[:kept].requires_grad_(False)
        (one,) = self._inputs(self.tasks[0].train[:1], below)
        with evaluation(below), torch.no_grad():
            size = 2 * n_images * below(one).nbytes
        return below if size <= _MOST_BYTES else chain[:0]

    def _activations(self, below: nn.Sequential, rows: Int) -> Tensor:
        """Return what the frozen blocks give for each image and its mirror image, float32 [n, 2, ...]."""
        pairs = [
            torch.stack([below(x), below(x.flip(-1))], dim=1) for x in self._inputs(rows, below)
        ]
        return torch.cat(pairs)

    def _inputs(self, rows: Int, chain: nn.Sequential) -> Iterator[Tensor]:
        """Yield normalised images in chunks, ``chain`` in evaluation mode meanwhile."""
        mean, std = (
            torch.tensor(value, dtype=torch.float32).reshape(3, 1, 1) * 255
            for value in (self.data.mean, self.data.std)
        )
        with evaluation(chain), torch.no_grad():
            for start in range(0, len(rows), _CHUNK):
                x = torch.stack(self.squares.of(rows[start : start + _CHUNK]))
                yield ((x.float() - mean) / std).contiguous(memory_format=torch.channels_last)

    def _hits(self, task: Task, below: nn.Sequential, method: CutTraining) -> Bool:
        whole = nn.Sequential(*below, *method.chain, method.head)
        answers = [whole(x).argmax(1).numpy() for x in self._inputs(task.test, whole)]
        return np.concatenate(answers) == task.y_test

    def _probed(self, task: Task) -> dict[int, Bool]:
        X, X_test = self._pooled(task.train), self._pooled(task.test)
        found = {}
        for number, (own, test) in enumerate(zip(X, X_test, strict=True), 1):
            found[number] = LinearProbe().fit(own, task.y_train).predict(test) == task.y_test
        return found

    def _pooled(self, rows: Int) -> list[Array]:
        """Return the pooled vectors of every block, the last one pooled as the network does."""
        vectors: list[list[Tensor]] = [[] for _ in range(self.network.n_blocks)]
        for x in self._inputs(rows, self.pretrained):
            for number, block in enumerate(self.pretrained[:-1]):
                x = block(x)
                vectors[number].append(x.mean(dim=(2, 3) if x.ndim == 4 else 1))
            vectors[-1][-1] = self.pretrained[-1](x)
        return [torch.cat(own).numpy() for own in vectors]

    def _recipe(self, number: int, kept: int, steps: int | None = None) -> Recipe:
        seed = seed_of(self.settings.random_state, 4, number, kept)
        batch = min(self.settings.batch_size, *(len(task.train) for task in self.tasks))
        return Recipe(
            steps=steps or self.state["steps"], batch_size=batch, rate=self.settings.rate, ema=None, random_state=seed
        )  # fmt: skip

    def _steps(self) -> int:
        """Return the steps a cell may take, by the time of a few."""
        full = self._step_seconds(RETRAINED, self.cuts[0])
        frozen = sum(self._step_seconds(TRANSFER, kept) for kept in self.cuts)
        price = len(self.tasks) * ((1 + 2 * len(self.cuts)) * full + 2 * frozen)
        steps = int(_FOR_TRAINING * self.settings.seconds / price)
        if steps < _FEWEST_STEPS:
            needed = _FEWEST_STEPS * price / _FOR_TRAINING
            raise AdaptError(
                f"The budget of {self.settings.seconds:g} s pays for {steps} steps a cell, fewer than "
                f"{_FEWEST_STEPS}. Give {needed:.0f} s, fewer cuts, or smaller images."
            )
        epoch = -(-max(len(task.train) for task in self.tasks) // self.settings.batch_size)
        return min(steps, _MOST_EPOCHS * epoch)

    def _step_seconds(self, arm: str, kept: int) -> float:
        method, data, _ = self._prepared(0, arm, kept, most=self.settings.batch_size)
        recipe = self._recipe(0, kept, steps=1)
        return _TRIED / plan(method, data, recipe, Budget(_TRIED, "seconds"), self.hardware).steps

    def _base(self, number: int) -> Path:
        return self.folder / f"base-{number}.safetensors"

    def _add(self, number: int, measured: dict[tuple[str, int], Bool]) -> None:
        for (arm, kept), hits in measured.items():
            self.state["cells"][_key(number, arm, kept)] = "".join("01"[int(hit)] for hit in hits)
        write_atomically(self.folder / _FILE, json.dumps(self.state, indent=1).encode())

    def _opened(self) -> dict[str, Any]:
        own = {"settings": json.loads(json.dumps(asdict(self.settings))), **self._fingerprints()}
        path = self.folder / _FILE
        if not path.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            return {"identity": own, "steps": None, "cells": {}}
        try:
            state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            differing = [key for key in own if state["identity"][key] != own[key]]
        except (ValueError, KeyError, TypeError) as error:
            raise AdaptError(
                f"{str(path)!r} is damaged ({error}). Delete it to begin again."
            ) from error
        if differing:
            raise AdaptError(
                f"{str(self.folder)!r} holds another cut report, with other {listed(differing)}. Name another folder."
            )
        return state

    def _fingerprints(self) -> dict[str, str]:
        weights = hashlib.blake2b(digest_size=16)
        for value in self.pretrained.state_dict().values():
            weights.update(value.contiguous().numpy().tobytes())
        images = hashlib.blake2b("\n".join(self.data.names).encode(), digest_size=16)
        labels = hashlib.blake2b(self.data.targets.tobytes(), digest_size=16)
        found = {"network": weights, "images": images, "labels": labels}
        return {key: value.hexdigest() for key, value in found.items()}


def _key(number: int, arm: str, kept: int) -> str:
    return f"{number} {arm} {kept}"
