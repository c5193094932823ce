"""What all methods that are trained task by task share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from handful.adapt.episodic.episodes import Episodes, Shape
from handful.adapt.network import Network
from handful.adapt.trainable import parameter_groups


class Episodic(nn.Module):
    """A `Method` whose loss is that of tasks: each query is told from the support of its task.

    A method says what it keeps of an image (`features`) and how much a query
    belongs to each class (`scores`); it may replace the loss.

    Parameters
    ----------
    network : Network
        Its chain is trained in place.
    shape : Shape
        Of the tasks that are trained on. Those that are predicted may have another.
    """

    per_image = True
    """Whether the features of an image are the same in every task."""

    def __init__(self, network: Network, shape: Shape) -> None:
        super().__init__()
        self.chain, self.shape = network.chain, shape

    def features(self, images: Tensor) -> Tensor:
        """Return what is compared, a row an image: by default the vectors [n, dim]."""
        found: Tensor = self.chain(images)
        return found

    def scores(self, support: Tensor, query: Tensor) -> Tensor:
        """Return logits [t, q, way] of query features [t, q, …] for support features [t, way, shot, …]."""
        raise NotImplementedError

    def adapt_to(self, support: Tensor) -> Callable[[Tensor], Tensor]:
        """Return what gives logits [n, way] of images [n, 3, s, s] for one task.

        Parameters
        ----------
        support : Tensor of shape (way, shot, 3, s, s)
            Normalised, as the network takes images. The method itself does not change.
        """
        with torch.no_grad():
            given = self.features(support.flatten(0, 1)).unflatten(0, support.shape[:2])[None]

        def logits(images: Tensor) -> Tensor:
            with torch.no_grad():
                return self.scores(given, self.features(images)[None])[0]

        return logits

    def loss(self, scores: Tensor, answers: Tensor) -> Tensor:
        """Return the loss of logits [t, q, way] for the places of the right classes [t, q]."""
        return functional.cross_entropy(scores.flatten(0, 1), answers.flatten())

    def augment(self, image: Episodes) -> tuple[Tensor, ...]:
        """Return the images of a new task as one view."""
        return (image.draw(self.shape),)

    def forward(
        self, views: tuple[Tensor, ...], target: Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        """Return loss and accuracy of the tasks of a step, their images one after the other."""
        scores = self.scores(*self.shape.parts(self.features(views[0])))
        answers = self.shape.answers(len(scores), scores.device)
        hits = scores.detach().argmax(dim=2) == answers
        return {"loss": self.loss(scores, answers), "accuracy": hits.float().mean()}

    def parameter_groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Return the groups: no decay on norms and biases."""
        return parameter_groups(self, rate, weight_decay)

    def after_step(self, progress: float) -> None:
        """Do nothing."""

    def finish(self, episodes: Episodes, mean: Sequence[float], std: Sequence[float]) -> None:
        """Do what is left after training, with the images trained on; nothing by default."""
