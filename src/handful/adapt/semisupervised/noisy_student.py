"""Noisy Student: a teacher labels clean images, a student learns them with noise and becomes the teacher.

Generation zero is a head on frozen vectors, which costs no training: `handful adapt`
takes the calibrated `SpreadingProbe`, which knows the unlabelled images. Each student is a fresh network that
begins as fine-tuning does and learns from labels and guesses together, with
RandAugment, dropout and stochastic depth against it [1]_.

References
----------
.. [1] Xie et al., "Self-training with Noisy Student improves ImageNet classification",
   CVPR 2020, https://arxiv.org/abs/1911.04252. Target there: EfficientNet-L2, 88.4 %
   on ImageNet with 300 million unlabelled images. Deviations: students begin with
   pretrained weights and a linear probe, the first teacher is a head on frozen vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from handful.adapt.augment import View
from handful.adapt.feeding import TrainingData
from handful.adapt.finetune import default_towards, head_group, linear_head, normalised
from handful.adapt.loop import train
from handful.adapt.network import Network
from handful.adapt.recipe import Hardware, Recipe
from handful.adapt.semisupervised.noise import stochastic_depth
from handful.adapt.semisupervised.pseudo_labels import (
    FILE,
    balanced_rows,
    pseudo_label_rows,
    write_pseudo_labels,
)
from handful.adapt.trainable import interpolate, parameter_groups
from handful.core import AdaptError, Array, Float32, Int, write_atomically
from handful.measure import held_out_folds

_CHECKED_PARTS = 4  # one in four of the labels decides whether a generation gained
_BATCH = 64


@dataclass(frozen=True)
class Noise:
    """How students are taught.

    Parameters
    ----------
    generations : {1, 2}, default=1
        With two, a quarter of the labels is kept from training and decides: the
        second student is trained only if the first beat its teacher there, and
        kept only if it beat the first.
    threshold : float, default=0.3
        Lowest confidence of a guess that is learnt, in [0, 1).
    soft : bool, default=True
        Learn the teacher's probabilities, not its likeliest class.
    randaugment : int, default=10
        Strength of RandAugment, in [0, 30].
    dropout : float, default=0.5
        Share of the vector that the head does not see, in [0, 1).
    stochastic_depth : float, default=0.2
        Share of images for which the last block is left out, where the architecture
        has a place for it (`stochastic_depth`).
    scale : float, default=0.35
        Smallest share of an image's area that a crop keeps.
    flip : bool, default=True
        Mirror half of the views.
    towards : float, optional
        Weight of the student in its average with the network it began as, in (0, 1].
        By default as in fine-tuning: 0.5 under 50 labels a class, 1 from there.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    generations: int = 1
    threshold: float = 0.3
    soft: bool = True
    randaugment: int = 10
    dropout: float = 0.5
    stochastic_depth: float = 0.2
    scale: float = 0.35
    flip: bool = True
    towards: float | None = None

    def __post_init__(self) -> None:
        rules = {
            "generations": ("1 or 2", self.generations in (1, 2)),
            "threshold": ("in [0, 1)", 0 <= self.threshold < 1),
            "dropout": ("in [0, 1)", 0 <= self.dropout < 1),
            "stochastic_depth": ("in [0, 1)", 0 <= self.stochastic_depth < 1),
            "towards": ("in (0, 1]", self.towards is None or 0 < self.towards <= 1),
        }
        for name, (expected, is_valid) in rules.items():
            if not is_valid:
                raise ValueError(
                    f"The {name!r} of Noisy Student must be {expected}. Got {getattr(self, name)!r}."
                )


class NoisyStudent(nn.Module):
    """A `Method` that learns given probabilities of each image, with noise.

    Parameters
    ----------
    network : Network
        Its chain is trained in place.
    labels : ndarray of shape (n, n_classes), float32
        What each image of the data set is; rows sum to 1.
    n_labels : int
        How many of them are not guesses.
    size : int
        Side of the views in pixels.
    noise : Noise, optional
    start : tuple of ndarrays, optional
        Weight and bias of the head, from `probe_head`.
    """

    def __init__(
        self,
        network: Network,
        *,
        labels: Float32,
        n_labels: int,
        size: int,
        noise: Noise | None = None,
        start: tuple[Float32, Float32] | None = None,
    ) -> None:
        super().__init__()
        self.noise, self.chain, self.size = noise or Noise(), network.chain, size
        self._start = {key: value.clone() for key, value in self.chain.state_dict().items()}
        self.head = linear_head(network.dim, labels.shape[1], start)
        self.towards = self.noise.towards or default_towards(n_labels, labels.shape[1])
        stochastic_depth(self.chain, self.noise.stochastic_depth)
        self.dropout = nn.Dropout(self.noise.dropout)
        self.register_buffer("labels", torch.from_numpy(labels), persistent=False)
        self.view = View(
            size, (self.noise.scale, 1.0), self.noise.flip, randaugment=self.noise.randaugment
        )

    def augment(self, image: Any) -> tuple[Tensor, ...]:
        """Return one noisy view."""
        return (self.view(image),)

    def logits(self, x: Tensor) -> Tensor:
        """Return logits [n, n_classes] of normalised images [n, 3, s, s]."""
        return self.head(self.dropout(normalised(self.chain(x)))).float()

    def forward(
        self, views: tuple[Tensor, ...], target: Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        """Return the cross-entropy with the labels, and the share of images whose likeliest class agrees."""
        labels, logits = self.labels[index], self.logits(views[0])
        right = (logits.argmax(dim=1) == labels.argmax(dim=1)).float().mean()
        return {"loss": functional.cross_entropy(logits, labels), "train_accuracy": right}

    def parameter_groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Return the groups: no decay on norms, biases and the head."""
        return [*parameter_groups(self.chain, rate, weight_decay), head_group(self.head, rate)]

    def after_step(self, progress: float) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Average the weights with the start, as far as asked for."""
        if self.towards < 1:
            state = interpolate(self._start, self.chain.state_dict(), self.towards)
            self.chain.load_state_dict(state)


@dataclass(frozen=True)
class Taught:
    """What came of the generations.

    Parameters
    ----------
    network : Network
        The student that is kept.
    generation : int
        Which one it is, from 1.
    folder : Path
        Of its training.
    recipe : Recipe
        It was trained with.
    counts : dict
        Unlabelled images, and how many of them no teacher was confident of.
    accuracies : list of float
        Of generation zero and of each student, on labels kept from training; empty
        with one generation.
    """

    network: Network
    generation: int
    folder: Path
    recipe: Recipe
    counts: dict[str, int]
    accuracies: list[float]


Teacher = Callable[[Int], Array]
Student = Callable[[Int], tuple[Network, tuple[Float32, Float32] | None]]
Planner = Callable[[nn.Module, TrainingData], Recipe]


@dataclass(frozen=True)
class School:
    """Teaches one or two students; what was killed goes on from its folder.

    Parameters
    ----------
    data : TrainingData
        Targets are classes from 0, -1 without a label.
    teacher : callable
        Generation zero: from the rows whose labels it may use to probabilities
        [n, n_classes] of all rows.
    student : callable
        From the same rows to a fresh network and the head it begins with.
    plan : callable
        From a method and its data to the recipe.
    folder : Path
        ``generation-1`` … hold the trainings; ``pseudo_labels.jsonl`` all guesses.
    size : int
        Side in pixels of what students see.
    classes : sequence of str
        Names, for what is written down.
    noise : Noise, optional
    groups : ndarray of shape (n,), int, optional
        Labelled rows that may not be torn apart; used with two generations.
    random_state : int, default=0
    hardware : Hardware, optional
    quiet : bool, default=False
        Show no progress.
    """

    data: TrainingData
    teacher: Teacher
    student: Student
    plan: Planner
    folder: Path
    size: int
    classes: Sequence[str]
    noise: Noise = field(default_factory=Noise)
    groups: Int | None = None
    random_state: int = 0
    hardware: Hardware = field(default_factory=Hardware)
    quiet: bool = False

    def teach(self) -> Taught:
        """Return the student that is kept.

        Raises
        ------
        AdaptError
            If no guess is confident, or training fails.
        """
        check = self._checked_rows()
        fit = np.setdiff1d(np.flatnonzero(self.data.targets >= 0), check)
        p = self._kept(1, lambda: self.teacher(fit))
        accuracies = self._accuracy(p, check)
        best = first = self._lesson(1, p, fit)
        records = first.records
        if len(check):
            p = self._kept(2, lambda: self._guesses(first.method))
            accuracies += self._accuracy(p, check)
            sure = p[self.data.targets < 0].max() >= self.noise.threshold
            if accuracies[1] > accuracies[0] and sure:
                second = self._lesson(2, p, fit)
                records = [*records, *second.records]
                p = self._kept(3, lambda: self._guesses(second.method))
                accuracies += self._accuracy(p, check)
                best = second if accuracies[2] > accuracies[1] else first
        write_pseudo_labels(self.folder / FILE, records)
        return self._taught(best, records, accuracies)

    def _lesson(self, generation: int, p: Float32, fit: Int) -> _Lesson:
        """Train a student on labels and confident guesses."""
        data, how = self.data, self.noise
        others = np.flatnonzero(data.targets < 0)
        chosen = others[balanced_rows(p[others], how.threshold, random_state=self.random_state)]
        if not len(chosen):
            raise AdaptError(
                f"The teacher is confident of no unlabelled image: its highest probability is "
                f"{p[others].max():.2f}, the threshold {how.threshold}. Label more images, or lower the threshold."
            )
        used = np.isin(others, chosen)
        names = [data.names[int(i)] for i in others]
        records = pseudo_label_rows(names, p[others], self.classes, used, generation)
        rows = np.concatenate([fit, chosen])
        certain = np.eye(p.shape[1], dtype=np.float32)
        guessed = p[chosen] if how.soft else certain[p[chosen].argmax(axis=1)]
        labels = np.concatenate([certain[data.targets[fit]], guessed])
        own = TrainingData(
            Rows(data.images, rows), [data.names[int(i)] for i in rows], data.targets[rows], data.mean, data.std
        )  # fmt: skip
        network, start = self.student(fit)
        method = NoisyStudent(
            network, labels=labels, n_labels=len(fit), size=self.size, noise=how, start=start
        )
        folder = self.folder / f"generation-{generation}"
        recipe = train(
            method, own, self.plan(method, own), folder, hardware=self.hardware, quiet=self.quiet
        )
        method.finish()
        return _Lesson(generation, network, method, folder, recipe, records)

    @torch.inference_mode()
    def _guesses(self, method: NoisyStudent) -> Float32:
        """Return the probabilities of all rows, clean and whole, by a student in evaluation mode."""
        device = next(method.parameters()).device
        mean, std = (np.asarray(x, np.float32) * 255 for x in (self.data.mean, self.data.std))
        parts = []
        for first in range(0, len(self.data.names), _BATCH):
            last = min(first + _BATCH, len(self.data.names))
            squares = np.stack([self._square(row) for row in range(first, last)])
            x = torch.from_numpy((squares - mean) / std).permute(0, 3, 1, 2).float().to(device)
            parts.append(method.logits(x).softmax(dim=1).cpu().numpy())
        return np.concatenate(parts)

    def _square(self, row: int) -> Array:
        image = self.data.images[row].convert("RGB")
        return np.asarray(image.resize((self.size, self.size), Image.Resampling.BICUBIC))

    def _kept(self, generation: int, work: Callable[[], Array]) -> Float32:
        """Return probabilities that teach a generation, worked out once."""
        path = self.folder / f"teacher-{generation}.npy"
        if not path.is_file():
            p = np.asarray(work(), np.float32)
            write_atomically(path, lambda file: np.save(file, p))
        return np.load(path)

    def _checked_rows(self) -> Int:
        """Return the labelled rows that are kept from training to decide; none with one generation."""
        labelled = np.flatnonzero(self.data.targets >= 0)
        if self.noise.generations == 1:
            return labelled[:0]
        folds = held_out_folds(
            self.data.targets[labelled], None if self.groups is None else self.groups[labelled],
            n_folds=_CHECKED_PARTS, random_state=self.random_state,
        )  # fmt: skip
        return labelled[folds[0].test] if folds else labelled[:0]

    def _accuracy(self, p: Float32, check: Int) -> list[float]:
        right = p[check].argmax(axis=1) == self.data.targets[check]
        return [float(right.mean())] if len(check) else []

    def _taught(
        self, kept: _Lesson, records: list[dict[str, Any]], accuracies: list[float]
    ) -> Taught:
        names = {row["image"] for row in records}
        sure = {row["image"] for row in records if row["confidence"] >= self.noise.threshold}
        counts = {"unlabelled": len(names), "never_confident": len(names) - len(sure)}
        return Taught(kept.network, kept.generation, kept.folder, kept.recipe, counts, accuracies)


@dataclass(frozen=True)
class _Lesson:
    generation: int
    network: Network
    method: NoisyStudent
    folder: Path
    recipe: Recipe
    records: list[dict[str, Any]]


@dataclass(frozen=True)
class Rows(Sequence[Any]):
    """Some rows of a sequence of images, some of them several times."""

    images: Sequence[Any]
    rows: Int

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: Any) -> Any:
        return self.images[int(self.rows[row])]
