"""P>M>F: fine-tuning on the support of one task, at a rate that no query label chose."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from handful.adapt.augment import View
from handful.adapt.episodic.evaluation import as_input
from handful.adapt.network import Network
from handful.adapt.trainable import frozen_prefix, select_trainable, train_mode

_SCALE = 10.0  # of cosines, as P>M>F begins with


@dataclass(frozen=True)
class TaskFineTuning:
    """How a network is fine-tuned on one task.

    Parameters
    ----------
    train : str, default="last:1"
        What moves, as `select_trainable` has it: ``"last:1"``, ``"norm_and_bias"`` or ``"lora"``.
    rates : sequence of float, default=(1e-4, 1e-3)
        Of Adam, that are tried. To do nothing is always tried too, and wins a tie.
    steps : int, default=20
    views : int, default=4
        Changed copies of each image that are learned from, and as many that judge in a 1-shot task.
    seconds : float, default=30
        Of a task: no rate is tried after it, and with none tried nothing is done.
    smallest : float, default=0.6
        Share of an image's area in a view.
    flip : bool, default=False
        Mirror half of the views; not for characters.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    train: str = "last:1"
    rates: Sequence[float] = (1e-4, 1e-3)
    steps: int = 20
    views: int = 4
    seconds: float = 30.0
    smallest: float = 0.6
    flip: bool = False

    def __post_init__(self) -> None:
        if (
            self.steps < 1
            or self.views < 1
            or not self.seconds > 0
            or min(self.rates, default=1) <= 0
        ):
            raise ValueError(
                f"The steps and views of TaskFineTuning must be at least 1, its rates and seconds above 0. Got {self}."
            )


@dataclass(frozen=True)
class TunedTask:
    """A network that was fine-tuned on a task.

    Parameters
    ----------
    rate : float
        That was chosen; 0 where to do nothing was best.
    tried : dict of float to float
        The accuracy on held-out images or views by which it was chosen.
    logits : callable
        Gives logits [n, way] of normalised images [n, 3, s, s]. It changes nothing.
    """

    rate: float
    tried: dict[float, float]
    logits: Callable[[Tensor], Tensor]


def tune_on_task(
    network: Network, support: Tensor, how: TaskFineTuning | None = None, *, random_state: int = 0
) -> TunedTask:
    """Return what a network answers after fine-tuning on the support of one task (P>M>F [1]_).

    Each step asks views of the support against the prototypes of the clean images. The rate is
    chosen by the support alone: with two or more shots one half of each class learns and the other
    is asked, and the other way round; with one shot views that were not learned from are asked.

    Parameters
    ----------
    network : Network
        Stays as it is.
    support : Tensor of shape (way, shot, 3, s, s), uint8
    how : TaskFineTuning, optional
    random_state : int, default=0
        Of the views.

    References
    ----------
    .. [1] Hu et al., "Pushing the Limits of Simple Pipelines for Few-Shot Learning: External Data and
       Fine-Tuning Make a Difference", CVPR 2022, https://arxiv.org/abs/2204.07305. Deviation: their code chooses
       the rate of a data set by query labels of its first test tasks, or holds out all but one
       image a class, which leaves 1-shot tasks as they are.
    """
    how = how or TaskFineTuning()
    deadline = time.monotonic() + how.seconds
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        task = _Task(network, support, how)
        folds = task.folds()
        tried = {0.0: task.judged(0.0, folds)}
        for rate in how.rates:
            if tried[0.0] < 1 and time.monotonic() < deadline:
                tried[rate] = task.judged(rate, folds)
        rate = max(tried, key=lambda r: (tried[r], -r))
        every = torch.arange(support.shape[1])
        tail = task.learned(rate, every)
    return TunedTask(rate, tried, task.answers(tail, every))


class _Task:
    """The support of a task as activations before the first block that moves."""

    def __init__(self, network: Network, support: Tensor, how: TaskFineTuning) -> None:
        self.how, (self.way, self.shot) = how, support.shape[:2]
        chain = copy.deepcopy(network.chain)
        chain.requires_grad_(True)
        select_trainable(chain, how.train)
        train_mode(chain, False)
        first = frozen_prefix(chain)
        self.body, self.tail = chain[:first], chain[first:]
        view = View(support.shape[-1], (how.smallest, 1.0), how.flip)
        pictures = [Image.fromarray(x.permute(1, 2, 0).numpy()) for x in support.flatten(0, 1)]
        changed = [torch.stack([view(x) for x in pictures]) for _ in range(2 * how.views)]
        x = torch.cat([support.flatten(0, 1), *changed])
        with torch.no_grad():
            found = torch.cat(
                [self.body(as_input(part, network.mean, network.std)) for part in x.split(64)]
            )
        found = found.unflatten(0, (1 + 2 * how.views, self.way, self.shot))
        self.clean, self.views, self.judges = (
            found[0],
            found[1 : 1 + how.views],
            found[1 + how.views :],
        )

    def folds(self) -> list[tuple[Tensor, Tensor]]:
        """Return which shots learn and which judge; with one shot there is none to judge."""
        shots = torch.arange(self.shot)
        if self.shot == 1:
            return [(shots, shots[:0])]
        halves = (shots[::2], shots[1::2])
        return [halves, halves[::-1]]

    def judged(self, rate: float, folds: list[tuple[Tensor, Tensor]]) -> float:
        """Return the share of right answers on what was not learned from."""
        hits = []
        for learn, judge in folds:
            tail = self.learned(rate, learn)
            asked = self.clean[None][:, :, judge] if len(judge) else self.judges
            with torch.no_grad():
                scores = _scores(tail, self.clean[:, learn], asked.flatten(0, 2))
            y = self._answers(len(asked), asked.shape[2])
            hits.append((scores.argmax(dim=1) == y).double().mean())
        return float(torch.stack(hits).mean())

    def learned(self, rate: float, shots: Tensor) -> nn.Sequential:
        """Return the blocks that move, after they learned from some shots."""
        tail: nn.Sequential = copy.deepcopy(self.tail)
        moving = [p for p in tail.parameters() if p.requires_grad]
        if not rate:
            return tail
        optimizer = torch.optim.Adam(moving, lr=rate)
        y = self._answers(1, len(shots))
        for step in range(self.how.steps):
            asked = self.views[step % self.how.views][:, shots].flatten(0, 1)
            loss = functional.cross_entropy(_scores(tail, self.clean[:, shots], asked), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return tail

    def answers(self, tail: nn.Sequential, shots: Tensor) -> Callable[[Tensor], Tensor]:
        """Return what gives the logits of new images."""

        def logits(images: Tensor) -> Tensor:
            with torch.no_grad():
                return _scores(tail, self.clean[:, shots], self.body(images))

        return logits

    def _answers(self, times: int, shots: int) -> Tensor:
        own = torch.from_numpy(np.repeat(np.arange(self.way), shots))
        return own.repeat(times)


def _scores(tail: nn.Sequential, given: Tensor, asked: Tensor) -> Tensor:
    """Return scaled cosines [n, way] of activations [n, …] with the prototypes of a support [way, shot, …]."""
    vectors = tail(torch.cat([given.flatten(0, 1), asked]))
    n = given.shape[0] * given.shape[1]
    means = vectors[:n].unflatten(0, given.shape[:2]).mean(dim=1)
    return _SCALE * functional.normalize(vectors[n:], dim=1) @ functional.normalize(means, dim=1).T
