"""Reptile: towards where training on each task leads."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from handful.adapt.episodic.episodes import Shape
from handful.adapt.episodic.gradient import ALIKE, GradientBased, Weights, support_answers
from handful.adapt.episodic.task_norm import BatchNorm
from handful.adapt.network import Network

InnerOptimizer = Literal["sgd", "adam"]
_RATES = {"sgd": 0.4, "adam": 1e-3}
_DECAY, _TINY = 0.999, 1e-8  # of Adam


class Reptile(GradientBased):
    """Learn weights near to those that training on any task ends with (Reptile [1]_).

    In a step each task is trained on for some minibatches, all tasks together, and
    the weights move towards the mean of where they ended. All images of a training task,
    support and query, are trained on.

    Parameters
    ----------
    network : Network
    shape : Shape
        ``shot + query`` images a class are drawn for training.
    inner_steps : int, default=10
        Minibatches of a task in training, at least 1.
    inner_batch : int, default=20
        Images of each.
    inner_optimizer : {"sgd", "adam"}, default="sgd"
        How a task is trained on, without momentum. The paper's Adam needs many more steps of training.
    inner_rate : float, optional
        Of it, above 0; 0.4 (SGD) and 0.001 (Adam) by default.
    test_steps : int, default=30
        Of a prediction, on minibatches of the support in a fixed order.
    batch_norm : {"inductive", "transductive", "running"}, default="inductive"
        See `GradientBased`; inductive is the paper's without "transduction".

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    .. [1] Nichol, Achiam and Schulman, "On First-Order Meta-Learning Algorithms", 2018,
       https://arxiv.org/abs/1803.02999. Omniglot, 5-way 1-shot and 5-shot: 95.39 and 98.90 %, 20-way: 88.14 and
       96.65 %, without transduction. Deviations: SGD; Adam's second moment begins anew in every task; the
       move has Nesterov momentum and a cosine; the common vector of `GradientBased`, and so more classes in
       training than in use.
    """

    def __init__(
        self,
        network: Network,
        shape: Shape,
        *,
        inner_steps: int = 10,
        inner_batch: int = 20,
        inner_optimizer: InnerOptimizer = "sgd",
        inner_rate: float | None = None,
        test_steps: int = 30,
        batch_norm: BatchNorm = "inductive",
    ) -> None:
        super().__init__(network, shape, batch_norm=batch_norm)
        numbers = {"inner_steps": inner_steps, "inner_batch": inner_batch, "test_steps": test_steps}
        for name, value in numbers.items():
            if value < 1:
                raise ValueError(f"The {name!r} of Reptile must be at least 1. Got {value!r}.")
        if inner_optimizer not in _RATES:
            raise ValueError(
                f"The 'inner_optimizer' of Reptile must be 'sgd' or 'adam'. Got {inner_optimizer!r}."
            )
        rate = _RATES[inner_optimizer] if inner_rate is None else inner_rate
        if not rate > 0:
            raise ValueError(f"The 'inner_rate' of Reptile must be above 0. Got {inner_rate!r}.")
        self.inner_steps, self.inner_batch = inner_steps, inner_batch
        self.inner_optimizer, self.inner_rate = inner_optimizer, rate
        self.test_steps = test_steps

    def forward(
        self, views: tuple[Tensor, ...], target: Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        """Return a loss whose gradient is the way back from where the tasks' training ended."""
        tasks = views[0].unflatten(0, (-1, self.shape.way, self.shape.shot + self.shape.query))
        with torch.no_grad():
            end = self.trained(tasks, self.inner_steps, shuffle=True)
            scores = self.logits(end, tasks[:, :, 0], tasks[:, :, 0])  # of one image a class
            answers = support_answers(tasks[:, :, :1])
        way_back = self.head.new_zeros(())
        for name, parameter in (*self.chain.named_parameters(), ("head", self.head)):
            mean = end[name]
            if mean.ndim > parameter.ndim:
                mean = mean.flatten(0, mean.ndim - parameter.ndim - 1).mean(dim=0)
            way_back = way_back + ((parameter - mean).detach() * parameter).sum()
        loss = self.loss(scores, answers)
        hits = (scores.argmax(dim=2) == answers).float().mean()
        return {"loss": way_back - way_back.detach() + loss, "accuracy": hits}

    def adapted(self, support: Tensor) -> Weights:
        """Return the weights of each task after training on its support."""
        with torch.no_grad():
            return self.trained(support, self.test_steps, shuffle=False)

    def trained(self, tasks: Tensor, steps: int, *, shuffle: bool) -> Weights:
        """Return the weights after minibatches of each task's images [t, way, n, 3, s, s].

        Images come in rounds, in random order (torch's global generator) or one of each class in turn.
        """
        images, answers = tasks.flatten(1, 2), support_answers(tasks)
        weights = self.beginning(*tasks.shape[:2])
        second = dict.fromkeys(weights, self.head.new_zeros(()))  # moments of Adam
        rows = self._rows(tasks, steps, shuffle=shuffle)
        every = torch.arange(len(images), device=images.device)[:, None]
        for step in range(steps):
            own = rows[:, step]
            names = tuple(weights) if step else ALIKE
            gradients = self.inner_gradients(
                weights, images[every, own], answers[every, own], names
            )
            for name, gradient in gradients.items():
                move = gradient
                if self.inner_optimizer == "adam":
                    second[name] = _DECAY * second[name] + (1 - _DECAY) * gradient.square()
                    size = (second[name] / (1 - _DECAY ** (step + 1))).sqrt()
                    move = gradient / (size + _TINY)
                weights[name] = weights[name] - self.inner_rate * move
        return weights

    def _rows(self, tasks: Tensor, steps: int, *, shuffle: bool) -> Tensor:
        """Return which images each minibatch has, of shape (t, steps, batch)."""
        t, way, n = tasks.shape[:3]
        batch = min(self.inner_batch, way * n)
        rounds = -(-steps * batch // (way * n))
        if shuffle:
            keys = torch.rand(t, rounds, way * n, device=tasks.device)
            order = keys.argsort(dim=2)
        else:
            in_turn = torch.arange(way * n, device=tasks.device).view(way, n).T.flatten()
            order = in_turn.expand(t, rounds, -1)
        return order.flatten(1)[:, : steps * batch].unflatten(1, (steps, batch))
