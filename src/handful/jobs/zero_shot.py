"""A classifier from the names of its classes, refined on the images that wait for labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from handful.backbones import (
    BackboneSpec,
    Classifier,
    imagenet_texts,
    packaged,
    packaged_classifier,
    packaged_text,
)
from handful.core import (
    BackboneError,
    Estimate,
    Float32,
    ProjectError,
    did_you_mean,
    listed,
    stream,
)
from handful.heads import (
    LEAST_POOL,
    KnownClasses,
    PrototypeClassifier,
    TemperatureScaled,
    TextAndLabels,
    TransductiveClassifier,
    ZeroShotClassifier,
    held_out_classes,
    softmax,
)
from handful.jobs.backbone import BackboneChoice, FrozenText
from handful.jobs.class_texts import ClassTexts
from handful.jobs.labelled import Labelled
from handful.jobs.workspace import Workspace
from handful.measure import Forecast, Validation, forecast_accuracy, share, untested_forecast

if TYPE_CHECKING:
    from handful.backbones import ClipText

WITH_NAMES = "names_and_labels"  # the methods' names
ZERO_SHOT = "zero_shot"
MOST = 10_000  # images that the classes' texts are refined on
_N_KNOWN = 1000


@dataclass(frozen=True)
class TextModel:
    """A classifier from texts, and what to expect of it.

    Parameters
    ----------
    texts : ClassTexts
    direct : ZeroShotClassifier or PrototypeClassifier
        By the texts alone.
    head : classifier
        Refined on the images where there are enough, else ``direct``; at the temperature at
        which the mean confidence is the predicted accuracy.
    pool : ndarray of shape (n_pool, dim), float32
        The images it was refined on, or would have been.
    forecast : Forecast
    facts : dict
        For the report.
    """

    texts: ClassTexts
    direct: Any
    head: Any
    pool: Float32
    forecast: Forecast
    facts: dict[str, Any]


def text_model(
    work: Workspace, texts: ClassTexts, choice: BackboneChoice, random_state: int
) -> TextModel:
    """Return the classifier of the classes' texts for a folder's images.

    Images of the test split have no part in it. The texts meet the images in the space of an
    image-text model where the backbone is one, else through the classes of ImageNet.

    Raises
    ------
    BackboneError
        If the backbone neither is an image-text model nor has a classifier of ImageNet's classes.
    MissingExtraError
        If a package of the extra ``text`` is missing.
    ProjectError
        If the text encoder cannot read a class.
    """
    encoder = choice.text_encoder()
    pool = _pool(work, random_state)
    if encoder is not None:
        direct, forecast, facts = _in_one_space(work.backbone.spec, encoder, texts, pool)
    else:
        direct, forecast, facts = _through_known_classes(work.backbone.spec, texts, pool)
    refines = len(pool) >= LEAST_POOL * len(texts.classes)
    rule = TransductiveClassifier(direct).fit(pool) if refines else direct
    temperature = matched(rule.predict_logits(pool), forecast.accuracy.value)
    facts |= {
        "classes": texts.names,
        "templates": list(texts.templates),
        "n": len(pool),
        "refined": refines,
        "chance": forecast.chance,
        "is_reliable": forecast.is_reliable,
    }
    return TextModel(texts, direct, TemperatureScaled.at(rule, temperature), pool, forecast, facts)


_Made = tuple[Any, Forecast, dict[str, Any]]  # a classifier, what to expect of it, and why


def _through_known_classes(spec: BackboneSpec, texts: ClassTexts, pool: Float32) -> _Made:
    """Return the classifier by the packaged text encoder and the classes of ImageNet."""
    classifier = known_classifier(spec)
    encoder = packaged_text()
    vectors = texts.vectors(encoder)
    known = KnownClasses(classifier.weight, classifier.bias, imagenet_texts(encoder).vectors)
    direct = ZeroShotClassifier(known, vectors, texts.names).fit()
    forecast = forecast_accuracy(
        float(direct.recognition(pool).mean()), direct.likeness, len(texts.classes)
    )
    both = (each.argmax(axis=1) for each in (direct.conse_logits(pool), direct.map_logits(pool)))
    agreement = float(np.equal(*both).mean())
    facts = {
        "encoder": encoder.name,
        "agreement": agreement,
        "known_classes": _held_out(known),
    }
    return direct, forecast, facts


def _in_one_space(
    spec: BackboneSpec, encoder: ClipText | FrozenText, texts: ClassTexts, pool: Float32
) -> _Made:
    """Return the classifier by the vectors that an image-text model gives the texts."""
    vectors = texts.vectors(encoder)
    if vectors.shape[1] != spec.dim:
        raise BackboneError(
            f"Classes by their names need the image tower of {encoder.name!r} as it is, with vectors of "
            f"{vectors.shape[1]} numbers. Got {spec.dim}. Leave out --tiles."
        )
    direct = PrototypeClassifier.from_prototypes(
        vectors, texts.names, logit_scale=encoder.logit_scale
    )
    confidence = direct.predict_proba(pool).max(axis=1)
    forecast = untested_forecast(float(confidence.mean()), len(texts.classes))
    facts: dict[str, Any] = {"encoder": encoder.name}
    if encoder.logit_bias is not None:
        pairs = direct.predict_logits(pool).max(axis=1) + encoder.logit_bias
        facts["fits"] = float((pairs > 0).mean())
    return direct, forecast, facts


def known_classifier(spec: BackboneSpec) -> Classifier:
    """Return the classifier of ImageNet's classes that fits a backbone's vectors."""
    classifier = packaged_classifier() if _is_packaged(spec) else spec.classifier
    if (
        classifier is None
        or len(classifier.weight) != _N_KNOWN
        or classifier.weight.shape[1] != spec.dim
    ):
        raise BackboneError(
            f"Classes by their names need a backbone with the classifier of ImageNet's classes, without tiles. "
            f"Got {spec.name!r} with vectors of {spec.dim} numbers. Leave out --backbone and --tiles, or label images."
        )
    return classifier


def _is_packaged(spec: BackboneSpec) -> bool:
    """Return whether these are the packaged weights: a run of `handful adapt` has other vectors."""
    return packaged(spec.preprocess.to_dict()).spec.fingerprint == spec.fingerprint


def _pool(work: Workspace, random_state: int) -> Float32:
    images = [image for image in work.images if image.split != "test" and image.label is None]
    if not images:
        images = [image for image in work.images if image.split != "test"]
    if not images:
        raise ProjectError(
            f"Every image in {str(work.project.root)!r} is of the test split. Put images to learn from beside it."
        )
    if len(images) > MOST:
        rows = stream(random_state, "text pool").choice(len(images), MOST, replace=False)
        images = [images[row] for row in np.sort(rows)]
    return work.store.rows([image.hash for image in images])


def _held_out(known: KnownClasses) -> Any:
    """Return how often the map finds an unseen class of ImageNet by its name."""
    found, _, n = held_out_classes(known)
    return share(
        found, n, "classes of ImageNet found by their names",
        "each among 200 that the map from text to weights had not seen",
    )  # fmt: skip


def matched(logits: Float32, accuracy: float) -> float:
    """Return the temperature at which the mean confidence is the predicted accuracy.

    Without a label no other one is more honest: the probabilities then say no more than the
    forecast does.

    Examples
    --------
    >>> temperature = matched(np.array([[9.0, 0.0], [0.0, 9.0]], np.float32), 0.75)
    >>> round(temperature, 2)
    8.19
    """
    low, high = np.log(1e-3), np.log(1e6)
    for _ in range(60):
        middle = (low + high) / 2
        mean = float(softmax(logits / np.float32(np.exp(middle))).max(axis=1).mean())
        low, high = (middle, high) if mean > accuracy else (low, middle)
    return float(np.exp((low + high) / 2))


def with_names(
    work: Workspace,
    candidates: dict[str, Any],
    data: Labelled,
    texts: ClassTexts | None,
    choice: BackboneChoice,
    random_state: int,
) -> tuple[TextModel | None, dict[str, Any]]:
    """Return the heads to compare, before them the preferred one with the classes' texts beside it."""
    if texts is None:
        return None, candidates
    check_labelled_classes(data.y.tolist(), texts)
    model = text_model(work, texts, choice, random_state)
    preferred = next(iter(candidates.values()))
    blend = TextAndLabels(preferred.head, model.head.head_, skill=model.forecast.skill)
    return model, {WITH_NAMES: blend, **candidates}


def _gain_of_names(validation: Validation | None, candidates: dict[str, Any]) -> Estimate:
    """Return the accuracy with the names less that without them, on the same folds."""
    what = "gain in accuracy by the classes' names"
    plain = next((name for name in candidates if name != WITH_NAMES), None)
    if validation is None or plain is None:
        return Estimate.not_measurable(what, "nothing was measured")
    found = validation.differences
    if validation.chosen == WITH_NAMES and plain in found:
        return replace(found[plain], what=what)
    if validation.chosen == plain and WITH_NAMES in found:
        other = found[WITH_NAMES]
        return replace(other, value=-other.value, low=-other.high, high=-other.low, what=what)
    return Estimate.not_measurable(what, "the two were not compared on the same folds")


def names_facts(
    model: TextModel | None,
    head: Any,
    validation: Validation | None,
    candidates: dict[str, Any],
) -> dict[str, Any] | None:
    """Return what the report says of the names beside labels, None where none were given."""
    if model is None:
        return None
    blend = getattr(head, "blend_", None)
    gain = _gain_of_names(validation, candidates)
    return {"gain": gain, "used": blend is not None, "blend": blend, **model.facts}


def has_labels(work: Workspace) -> bool:
    """Return whether any image outside the test split has a label."""
    return any(image.label is not None and image.split != "test" for image in work.images)


def refuse_threshold(max_miss: tuple[str, float] | None) -> None:
    """Raise ProjectError for a threshold that labels alone can set."""
    if max_miss is not None:
        raise ProjectError(
            f"--max-miss {max_miss[0]!r} needs labels to be measured on, and there is none. Leave it out, "
            "or label images: handful label IMAGES."
        )


def tested_images(work: Workspace, texts: ClassTexts) -> Labelled:
    """Return the labelled images of the test split, on which the texts' classifier is measured.

    Raises
    ------
    ProjectError
        If one has a label that is not among the classes.
    """
    images = [image for image in work.images if image.label is not None]
    check_labelled_classes([image.label for image in images if image.label], texts)
    return Labelled(
        images=images,
        X=work.store.rows([image.hash for image in images]),
        y=np.array([image.label for image in images], np.str_),
        groups=np.arange(len(images)),
        is_test=np.ones(len(images), np.bool_),
    )


def check_labelled_classes(labels: list[str], texts: ClassTexts) -> None:
    """Raise ProjectError where a label is not among the classes of ``--classes``."""
    strange = sorted(set(labels) - set(texts.names))
    if strange:
        raise ProjectError(
            f"Images are labelled {listed(map(repr, strange))}, which --classes does not name"
            f"{did_you_mean(strange[0], texts.names)}. Add it to --classes, or correct the labels."
        )


def zero_shot_facts(model: TextModel) -> dict[str, Any]:
    """Return what the report says in place of a measured accuracy."""
    forecast = model.forecast
    why = "made from the classes' names alone: there is no label to choose by"
    return {
        "accuracy": forecast.accuracy,
        "chosen": {"name": ZERO_SHOT, "why": why},
        "zero_shot": {**model.facts, "predicted": forecast.accuracy},
    }
