"""Relation networks: a learned comparison of maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from handful.adapt.chain import evaluation
from handful.adapt.episodic.episodes import Shape
from handful.adapt.episodic.episodic import Episodic
from handful.adapt.network import Network

_HIDDEN = 8


class Relation(Episodic):
    """Learn how alike two images are from their maps (Relation networks [1]_).

    The maps of a class's support are summed; with those of a query they go through
    two convolution blocks and two linear layers to a score in [0, 1], which is to be 1 for the
    right class (mean squared error). The backbone ``conv4_maps`` is the paper's.

    Parameters
    ----------
    network : Network
        Its chain has maps before its last block.
    shape : Shape
    width : int, default=64
        Filters of the two blocks.

    Raises
    ------
    ValueError
        If the network has no maps, as transformers have none.

    Notes
    -----
    The first convolution of two maps side by side is the sum of one on each, so that it runs once an
    image and not once a pair: the numbers are the same. The BatchNorm of a prediction
    has the statistics of training; the authors' code leaves it in training mode,
    where the other queries change an answer, and chooses the state by test classes.

    References
    ----------
    .. [1] Sung et al., "Learning to Compare: Relation Network for Few-Shot Learning", CVPR 2018,
       https://arxiv.org/abs/1711.06025. Omniglot, 5-way 1-shot and 5-shot: 99.6 and 99.8 %,
       20-way: 97.6 and 99.1 %.
    """

    def __init__(self, network: Network, shape: Shape, *, width: int = 64) -> None:
        super().__init__(network, shape)
        channels, side = _maps(network)
        self.first = nn.Conv2d(2 * channels, width, 3, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])
        self.pools = [2 if side >= 2 else 1, 2 if side >= 4 else 1]
        left = side // self.pools[0] // self.pools[1]
        self.compare = nn.Sequential(
            nn.Flatten(), nn.Linear(width * left * left, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1)
        )

    def features(self, images: Tensor) -> Tensor:
        """Return maps [n, c, h, w]."""
        found: Tensor = self.chain[:-1](images)
        return found

    def scores(self, support: Tensor, query: Tensor) -> Tensor:
        """Return the relation of each query to each class, in [0, 1]."""
        (t, way), q = support.shape[:2], query.shape[1]
        own, other = self.first.weight.chunk(2, dim=1)
        classes = functional.conv2d(support.sum(dim=2).flatten(0, 1), own, padding=1)
        asked = functional.conv2d(query.flatten(0, 1), other, padding=1)
        pairs = asked.unflatten(0, (t, q, 1)) + classes.unflatten(0, (t, 1, way))
        x = self._block(pairs.flatten(0, 2), 0)
        x = self._block(self.second(x), 1)
        found: Tensor = self.compare(x).sigmoid().view(t, q, way)
        return found

    def loss(self, scores: Tensor, answers: Tensor) -> Tensor:
        """Return the mean squared error."""
        right = functional.one_hot(answers, scores.shape[2]).to(scores)
        return functional.mse_loss(scores, right)

    def _block(self, x: Tensor, number: int) -> Tensor:
        x = self.norms[number](x)
        if self.pools[number] > 1:
            x = functional.max_pool2d(x, self.pools[number])
        return functional.relu(x, inplace=True)


def _maps(network: Network) -> tuple[int, int]:
    """Return channels and side of the maps before the pool."""
    like, size = next(network.chain.parameters()), network.preprocess.size
    with evaluation(network.chain), torch.no_grad():
        shape = network.chain[:-1](like.new_zeros(2, 3, size, size)).shape
    if len(shape) != 4:
        raise ValueError(
            f"Relation networks compare maps, and {network.name!r} has none. Take a convolutional backbone such as "
            "conv4_maps."
        )
    return shape[1], shape[2]
