"""What MAML and Reptile share: a network and a head that are changed for each task, many tasks at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from handful.adapt.episodic.episodes import Episodes, Shape
from handful.adapt.episodic.episodic import Episodic
from handful.adapt.episodic.evaluation import as_input
from handful.adapt.episodic.task_norm import BatchNorm, put_task_norms, take_statistics_of
from handful.adapt.network import Network

Weights = dict[str, Tensor]
HEAD, BIAS = "head", "bias"
ALIKE = (HEAD, BIAS)  # what a first step moves: while all classes are alike, other gradients are 0
_SETTLING = 20  # tasks by which running statistics are found at the end


class GradientBased(Episodic):
    """A network that takes gradient steps on the support of each task before it answers.

    Before a task all classes have one common weight vector [1]_, so that the order of classes
    means nothing and tasks may have more or fewer classes than those trained on.

    Parameters
    ----------
    network : Network
    shape : Shape
    batch_norm : {"inductive", "transductive", "running"}, default="inductive"
        Whose statistics normalise a query: those of the support; those of all queries of
        the task, as in MAML's own code, where an answer depends on what else is asked; or those that the
        network came with.

    References
    ----------
    .. [1] Ye and Chao, "How to Train Your MAML to Excel in Few-Shot Classification", ICLR 2022,
       https://arxiv.org/abs/2106.16245.
    """

    per_image = False

    def __init__(
        self, network: Network, shape: Shape, *, batch_norm: BatchNorm = "inductive"
    ) -> None:
        super().__init__(network, shape)
        put_task_norms(self.chain, batch_norm)
        self.batch_norm = batch_norm
        self.head = nn.Parameter(torch.zeros(network.dim))

    def features(self, images: Tensor) -> Tensor:
        """Return the images as they are: what is kept of them depends on the task."""
        return images.contiguous()

    def scores(self, support: Tensor, query: Tensor) -> Tensor:
        """Return logits after the steps on the support."""
        given = support.flatten(1, 2)
        return self.logits(self.adapted(support), given, query)

    def adapted(self, support: Tensor) -> Weights:
        """Return the weights after the steps on each task's support [t, way, shot, 3, s, s]."""
        raise NotImplementedError

    def adapt_to(self, support: Tensor) -> Callable[[Tensor], Tensor]:
        """Return what gives logits [n, way] of images for one task; the method itself does not change."""
        with torch.no_grad():
            weights = self.adapted(support[None])
        given = support.flatten(0, 1)[None]

        def logits(images: Tensor) -> Tensor:
            with torch.no_grad():
                return self.logits(weights, given, images[None])[0]

        return logits

    def beginning(self, n_tasks: int, way: int) -> Weights:
        """Return the weights before any step: a head a task, and the network that all tasks share."""
        own = dict(self.chain.named_parameters())
        own[HEAD] = self.head.expand(n_tasks, way, -1)
        own[BIAS] = self.head.new_zeros(n_tasks, way)
        return own

    def inner_gradients(
        self, weights: Weights, images: Tensor, answers: Tensor, names: Sequence[str]
    ) -> Weights:
        """Return the gradients of each task's loss in the named weights, all tasks at once.

        Parameters
        ----------
        weights : dict
            With an axis of tasks in front, or of the network and shared.
        images : Tensor of shape (t, n, 3, s, s)
        answers : Tensor of shape (t, n)
        names : sequence of str
            Of the weights that move.
        """
        self._prepare(0)

        def loss(moving: Weights, still: Weights, x: Tensor, y: Tensor) -> Tensor:
            return functional.cross_entropy(self._forward({**still, **moving}, x), y)

        moving = {name: weights[name] for name in names}
        still = {name: value for name, value in weights.items() if name not in moving}
        axes = (self._axes(moving), self._axes(still), 0, 0)
        found: Weights = vmap(grad(loss), in_dims=axes)(moving, still, images, answers)
        return found

    def logits(self, weights: Weights, given: Tensor, query: Tensor) -> Tensor:
        """Return logits [t, q, way] of queries [t, q, 3, s, s]; the support [t, n, …] may lend its statistics."""
        n, axes = given.shape[1], (self._axes(weights), 0)
        if self.batch_norm != "inductive":
            self._prepare(0)
            found: Tensor = vmap(self._forward, in_dims=axes)(weights, query)
            return found
        self._prepare(n)
        found = vmap(self._forward, in_dims=axes)(weights, torch.cat([given, query], dim=1))
        return found[:, n:]

    def finish(self, episodes: Episodes, mean: Sequence[float], std: Sequence[float]) -> None:
        """Find running statistics for the chain as it is exported, on tasks of the training classes."""
        if self.batch_norm == "running":
            return
        norms = [part for part in self.chain.modules() if isinstance(part, nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        take_statistics_of(self.chain, None)
        self.chain.train()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean of all batches
        device = self.head.device
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for _ in range(_SETTLING):
                self.chain(as_input(episodes.draw(self.shape).to(device), mean, std))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        self.eval()

    def _axes(self, weights: Weights) -> dict[str, int | None]:
        """Return where each weight has its axis of tasks; a network that is shared has none."""
        shared = dict(self.chain.named_parameters())
        return {
            name: None if name in shared and value.ndim == shared[name].ndim else 0
            for name, value in weights.items()
        }

    def _prepare(self, given: int) -> None:
        """Let norms take the statistics of a task, and nothing else behave as in training."""
        self.chain.eval()
        take_statistics_of(self.chain, given)

    def _forward(self, weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
        """Return the logits [n, way] of one task."""
        body = {name: value for name, value in weights.items() if name not in (HEAD, BIAS)}
        found: Tensor = functional_call(self.chain, body, (images,))
        return found @ weights[HEAD].T + weights[BIAS]


def support_answers(support: Tensor) -> Tensor:
    """Return the place of the class of each image of a support [t, way, shot, …], of shape (t, way * shot)."""
    t, way, shot = support.shape[:3]
    own = torch.arange(way, device=support.device).repeat_interleave(shot)
    return own.expand(t, -1)
