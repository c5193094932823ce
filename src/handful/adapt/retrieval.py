"""Whether a pair finds texts by images and images by texts, and classes by their names."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from handful.core import Bool, Int, UInt8

_BATCH = 64
DEPTHS = (1, 5)


def retrieval_hits(similarity: Tensor, own: Tensor) -> dict[str, Bool]:
    """Return for each image whether its text is among the nearest, and for each text one of its images.

    Parameters
    ----------
    similarity : Tensor of shape (n, m)
        Of images to texts, no text twice.
    own : Tensor of shape (n,), int
        The text of each image; every text has one.

    Returns
    -------
    dict
        ``text_recall_K`` [n] and ``image_recall_K`` [m], for K of 1 and 5.

    Examples
    --------
    >>> hits = retrieval_hits(torch.tensor([[0.9, 0.1], [0.8, 0.2]]), torch.tensor([0, 1]))
    >>> hits["text_recall_1"].tolist(), hits["image_recall_1"].tolist()
    ([True, False], [True, True])
    """
    mine = similarity.gather(1, own[:, None])
    rank = (similarity > mine).sum(dim=1)
    is_own = own[:, None] == torch.arange(similarity.shape[1], device=own.device)
    best = similarity.masked_fill(~is_own, -torch.inf).max(dim=0).values
    place = (similarity > best).sum(dim=0)
    found = {"text_recall": rank, "image_recall": place}
    return {f"{name}_{k}": (r < k).cpu().numpy() for name, r in found.items() for k in DEPTHS}


class HeldPairs:
    """Looks at a pair through images and captions that it does not learn from.

    Parameters
    ----------
    squares : ndarray of shape (n, s, s, 3), uint8
    texts : Tensor
        Tokens or vectors [m, l] of different captions.
    own : ndarray of shape (n,), int
        The caption of each image.
    class_texts : Tensor or None
        Tokens or vectors of one text a class.
    codes : ndarray of shape (n,), int
        The class of each image, -1 without one.
    mean, std : sequence of 3 floats
    """

    def __init__(
        self, squares: UInt8, texts: Tensor, own: Int, class_texts: Tensor | None, codes: Int,
        mean: Any, std: Any,
    ) -> None:  # fmt: skip
        self.squares, self.texts, self.own = squares, texts, torch.from_numpy(own)
        self.class_texts, self.codes = class_texts, codes
        self.mean, self.std = (np.asarray(value, np.float32) * 255 for value in (mean, std))

    def __call__(self, method: Any) -> dict[str, float]:
        """Return the means of `hits`."""
        return {name: float(hits.mean()) for name, hits in self.hits(method).items()}

    @torch.inference_mode()
    def hits(self, method: Any) -> dict[str, Bool]:
        """Return the hits of retrieval, and of ``zero_shot`` for images with a class."""
        device = method.logit_scale.device
        starts = range(0, len(self.squares), _BATCH)
        images = torch.cat([self._vectors(method, start, device) for start in starts])
        texts = torch.cat([method.encode_texts(part.to(device)) for part in self.texts.split(_BATCH)])  # fmt: skip
        found = retrieval_hits(images @ texts.T, self.own.to(device))
        known = self.codes >= 0
        if self.class_texts is not None and known.any():
            classes = method.encode_texts(self.class_texts.to(device))
            said = (images @ classes.T).argmax(dim=1).cpu().numpy()
            found["zero_shot"] = said[known] == self.codes[known]
        return found

    def _vectors(self, method: Any, start: int, device: Any) -> Tensor:
        part = (self.squares[start : start + _BATCH] - self.mean) / self.std
        x: Tensor = method.encode_images(torch.from_numpy(part).permute(0, 3, 1, 2).float().to(device))  # fmt: skip
        return x
