"""Whether a backbone has met the classes that it is tested on: then they are not new to it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from handful.backbones import BackboneSpec
from handful.core import listed

_HOLDS = {  # a data set, and what was cut from it: mini- and tiered-ImageNet share ImageNet's images
    "imagenet": ("imagenet", "tinyimagenet", "imagenette", "imagewoof", "cub"),
    "omniglot": ("omniglot",),
    "inaturalist": ("inaturalist", "inat"),
    "cifar": ("cifar",),
    "eurosat": ("eurosat",),
}

_CLASSES = (
    ", classes: "  # before those that a backbone was trained on task by task, in ``pretrained_on``
)


def pretraining_overlap(
    spec: BackboneSpec, class_names: Sequence[str], *, dataset: str | None = None
) -> str | None:
    """Return a sentence that says why the test classes may not be new to a backbone, None if nothing shows it.

    Few-shot accuracy is meant for classes that no training saw. What is known comes from
    ``BackboneSpec.pretrained_on``, which ends with the classes where a backbone was trained task by task, and, where
    the weights name them, the classes they were trained on.

    Parameters
    ----------
    spec : BackboneSpec
    class_names : sequence of str
        The test classes.
    dataset : str, optional
        Name of the data set they are from, such as ``"mini-ImageNet"``.

    Examples
    --------
    >>> from handful.images import Preprocess
    >>> spec = BackboneSpec("net", "f" * 8, Preprocess(size=64), 8, pretrained_on="ImageNet-1k")
    >>> pretraining_overlap(spec, ["n01532829"], dataset="mini-ImageNet")[:60]
    "'net' was pretrained on ImageNet-1k, and mini-ImageNet is pa"
    >>> pretraining_overlap(spec, ["boot"], dataset="clothing") is None
    True
    """
    trained = _plain(spec.pretrained_on)
    if dataset is not None:
        name = _plain(dataset)
        for whole, parts in _HOLDS.items():
            if whole in trained and any(part in name for part in parts):
                return (
                    f"{spec.name!r} was pretrained on {spec.pretrained_on}, and {dataset} is part of it or shares "
                    "its images: the test classes are not new, and the figures are too high for new ones."
                )
    known = {_plain(part) for name in _own(spec) for part in name.split(",")}
    known |= {_plain(name) for name in spec.pretrained_on.partition(_CLASSES)[2].split("; ")}
    met = sorted({name for name in class_names if _plain(str(name)) in known})
    if met:
        return (
            f"{spec.name!r} was pretrained on {spec.pretrained_on.partition(_CLASSES)[0]}, "
            "which has classes of the same name: "
            f"{listed(map(repr, met))}. For classes that are new to it the figures may be too high."
        )
    return None


def _own(spec: BackboneSpec) -> Sequence[str]:
    return spec.classifier.class_names if spec.classifier is not None else ()


def _plain(text: str) -> str:
    """Return a name in small letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", text.lower())
