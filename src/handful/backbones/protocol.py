"""What a backbone is: pixels in, vectors out, and one record of where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from handful.core import Float32, UInt8
from handful.images import Preprocess


@dataclass(frozen=True)
class Classifier:
    """The classifier a backbone was trained with.

    Parameters
    ----------
    weight : ndarray of shape (n_classes, dim)
    bias : ndarray of shape (n_classes,)
    class_names : tuple of str, optional
        Empty when the weights do not name their classes.
    """

    weight: Float32
    bias: Float32
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class BackboneSpec:
    """Everything that is known of a backbone without running it.

    Parameters
    ----------
    name : str
        The name it is asked for by, such as ``"efficientnet_lite0"``.
    fingerprint : str
        Hex digest of the weights, the graph and the preprocessing: two
        backbones with one fingerprint give one image the same vector.
    preprocess : Preprocess
        How an image becomes the array that `Backbone.embed` takes.
    dim : int
        Length of a vector.
    licence : str
        SPDX name, or ``"unknown"``.
    pretrained_on : str
        The data of the weights, in words.
    saw_labels_of : frozenset of str, default=frozenset()
        Content hashes of the user's images whose labels shaped the weights:
        measuring never tests on them.
    classifier : Classifier, optional
        The original classifier where the weights hold one.
    """

    name: str
    fingerprint: str
    preprocess: Preprocess
    dim: int
    licence: str = "unknown"
    pretrained_on: str = "unknown"
    saw_labels_of: frozenset[str] = frozenset()
    classifier: Classifier | None = field(default=None, repr=False, compare=False)


@runtime_checkable
class Backbone(Protocol):
    """A network that turns images into vectors."""

    @property
    def spec(self) -> BackboneSpec:
        """What it is and where it comes from."""
        ...

    def embed(self, images: UInt8) -> Float32:
        """Return the vectors of images that are already preprocessed.

        Parameters
        ----------
        images : ndarray of shape (n, side, side, 3), uint8
            ``side`` is ``spec.preprocess.side``.

        Returns
        -------
        ndarray of shape (n, dim), float32
        """
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """A network that turns texts into vectors of the same space as images."""

    def embed_text(self, texts: Sequence[str]) -> Float32:
        """Return the vectors of the texts, of shape (n, dim), float32."""
        ...
