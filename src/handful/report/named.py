"""The part of a report that is about classes given by name."""

from __future__ import annotations

from dataclasses import dataclass

from handful.core import Estimate
from handful.report.node import Node


@dataclass(frozen=True)
class ZeroShot:
    """What a classifier from the names of its classes rests on.

    ``pair`` names the image-text model, empty where the texts went through the classes of ImageNet;
    ``fits`` is the share of images that such a model thinks fit any class, where it can say so.
    """

    classes: tuple[str, ...]
    n: int
    refined: bool
    agreement: float
    pair: str
    fits: float | None
    is_reliable: bool
    predicted: Estimate
    known_classes: Estimate


@dataclass(frozen=True)
class Names:
    """What the names of the classes brought beside labels."""

    used: bool
    gain: Estimate


def read_zero_shot(node: Node) -> ZeroShot | None:
    """Return what the report says where there was no label."""
    if not node:
        return None
    return ZeroShot(
        classes=tuple(row.text() for row in node["classes"].rows()),
        n=node["n"].count() or 0,
        refined=node["refined"].flag(),
        agreement=node["agreement"].number() or 0.0,
        pair="" if node["known_classes"] else node["encoder"].text(),
        fits=node["fits"].number(),
        is_reliable=node["is_reliable"].flag(),
        predicted=node["predicted"].estimate(),
        known_classes=node["known_classes"].estimate(),
    )


def read_names(node: Node) -> Names | None:
    """Return what the report says of names beside labels."""
    return Names(node["used"].flag(), node["gain"].estimate()) if node else None
