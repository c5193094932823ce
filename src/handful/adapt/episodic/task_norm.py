"""BatchNorm in a task: whose statistics an image is normalised with, said and not implied."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase as RunningNorm

BatchNorm = Literal["inductive", "transductive", "running"]
BATCH_NORMS = ("inductive", "transductive", "running")


class TaskNorm(nn.BatchNorm2d):
    """A BatchNorm that takes its statistics from the images that it is told to.

    Attributes
    ----------
    given : int or None
        None: an ordinary BatchNorm. 0: the whole batch. n > 0: the first n images of the batch,
        for all of it. Running statistics change in ordinary training alone.
    """

    given: int | None = None

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's own name
        """Return the normalised maps."""
        if self.given is None:
            return super().forward(input)
        looked_at = input[: self.given] if self.given else input
        var, mean = torch.var_mean(looked_at, dim=(0, 2, 3), correction=0)
        scale = self.weight * torch.rsqrt(var + self.eps)
        shift = self.bias - mean * scale  # so that a map is gone through once
        return input * scale[:, None, None] + shift[:, None, None]


def put_task_norms(chain: nn.Sequential, batch_norm: BatchNorm) -> None:
    """Put a `TaskNorm` in the place of every BatchNorm, with its weights, unless running statistics are asked for.

    Raises
    ------
    ValueError
        If there is no such way, or a norm with running statistics is of another kind.
    """
    if batch_norm not in BATCH_NORMS:
        raise ValueError(f"The 'batch_norm' must be one of {BATCH_NORMS}. Got {batch_norm!r}.")
    if batch_norm == "running":
        return
    for part in list(chain.modules()):
        for name, child in part.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(part, name, _copied(child))
            elif isinstance(child, RunningNorm) and not isinstance(child, TaskNorm):
                raise ValueError(
                    f"A {type(child).__name__} cannot take the statistics of a task. Give batch_norm='running', which "
                    "keeps those of pretraining, or take the backbone conv4."
                )


def take_statistics_of(chain: nn.Sequential, given: int | None) -> None:
    """Set where every `TaskNorm` of a chain takes its statistics from."""
    for part in chain.modules():
        if isinstance(part, TaskNorm):
            part.given = given


def _copied(norm: nn.BatchNorm2d) -> TaskNorm:
    found = TaskNorm(norm.num_features, norm.eps, norm.momentum)
    found.load_state_dict(norm.state_dict())
    return found.to(norm.weight.device)
