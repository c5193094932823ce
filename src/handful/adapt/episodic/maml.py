"""MAML, its first-order form, and ANIL."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor

from handful.adapt.episodic.episodes import Shape
from handful.adapt.episodic.gradient import ALIKE, GradientBased, Weights, support_answers
from handful.adapt.episodic.task_norm import BatchNorm
from handful.adapt.network import Network


class Maml(GradientBased):
    """Learn weights from which a few gradient steps on a task's support lead to the right answers (MAML [1]_).

    All tasks of a step are computed together (`torch.func`). Each keeps its own weights.

    Parameters
    ----------
    network : Network
    shape : Shape
    inner_steps : int, default=2
        On the support, at least 1. The first step moves the head alone: all its classes begin equal.
    inner_rate : float, default=0.4
        Of these steps, above 0.
    test_steps : int, optional
        Of a prediction; by default as many as in training.
    first_order : bool, default=False
        Take the gradients of the inner steps for constants: about half the cost.
    anil : bool, default=False
        Let the inner steps move the head alone (ANIL [2]_).
    batch_norm : {"inductive", "transductive", "running"}, default="inductive"
        See `GradientBased`.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    .. [1] Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
       ICML 2017, https://arxiv.org/abs/1703.03400. Omniglot, 5-way 1-shot and 5-shot: 98.7 and 99.9 %, 20-way:
       95.8 and 98.9 %, with the statistics of all queries of a task. Deviations: the common
       vector of `GradientBased`; max-pooling in place of strides.
    .. [2] Raghu et al., "Rapid Learning or Feature Reuse? Towards Understanding the Effectiveness of
       MAML", ICLR 2020, https://arxiv.org/abs/1909.09157.
    """

    def __init__(
        self,
        network: Network,
        shape: Shape,
        *,
        inner_steps: int = 2,
        inner_rate: float = 0.4,
        test_steps: int | None = None,
        first_order: bool = False,
        anil: bool = False,
        batch_norm: BatchNorm = "inductive",
    ) -> None:
        super().__init__(network, shape, batch_norm=batch_norm)
        if inner_steps < 1 or (test_steps is not None and test_steps < 1):
            raise ValueError(
                f"The inner steps of Maml must be at least 1. Got {inner_steps!r} and {test_steps!r}."
            )
        if not inner_rate > 0:
            raise ValueError(f"The 'inner_rate' of Maml must be above 0. Got {inner_rate!r}.")
        self.inner_steps, self.inner_rate = inner_steps, inner_rate
        self.test_steps = test_steps or inner_steps
        self.first_order, self.anil = first_order, anil

    def adapted(self, support: Tensor) -> Weights:
        """Return the weights of each task after the inner steps."""
        weights = self.beginning(*support.shape[:2])
        images, answers = support.flatten(1, 2), support_answers(support)
        for step in range(self.inner_steps if self.training else self.test_steps):
            names = ALIKE if self.anil or step == 0 else tuple(weights)
            with torch.no_grad() if self.first_order else contextlib.nullcontext():
                gradients = self.inner_gradients(weights, images, answers, names)
            moved = {name: weights[name] - self.inner_rate * gradients[name] for name in names}
            weights = {**weights, **moved}
        return weights
