"""Find images that show the same picture, so that no split and no pool has it on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from handful.core import Progress, usable_cores
from handful.embeddings import nearest
from handful.images import confirm_duplicates
from handful.jobs.workspace import Workspace
from handful.project import Image

SIMILAR = 0.9  # cosine from which a pair is looked at
_NEIGHBOURS = 6
_PART = 32


def find_near_duplicates(
    work: Workspace, images: Sequence[Image], *, quiet: bool = False
) -> set[tuple[str, str]]:
    """Return the pairs of hashes among ``images`` that show the same picture.

    Vectors propose (the nearest few of each image, from a cosine of 0.9) and
    pixels decide. Only pairs with an image that was not looked at before are
    decoded; what was found is kept in the project.

    Parameters
    ----------
    work : Workspace
        Its store has a vector for each image.
    images : sequence of Image
        The labelled ones.
    quiet : bool, default=False
        Show no progress.
    """
    key = f"near_duplicates_looked_at:{work.backbone.spec.fingerprint}"
    looked_at = set(work.project.setting(key) or ())
    hashes = [image.hash for image in images]
    if set(hashes) - looked_at:
        proposed = [pair for pair in _proposed(work, hashes) if not looked_at.issuperset(pair)]
        _confirm(work, images, proposed, key, sorted(looked_at | set(hashes)), quiet)
    here = set(hashes)
    return {pair for pair in work.project.near_duplicates() if here.issuperset(pair)}


def copies_among(
    work: Workspace, images: Sequence[Image], others: Sequence[Image], *, quiet: bool = False
) -> set[str]:
    """Return the hashes of ``others`` that show the same picture as one of ``images``.

    Found as in `find_near_duplicates`, but each of the others is compared with the nearest
    of ``images`` alone, and each of ``images`` with the six that are nearest of those; a pair
    that was looked at is not decoded again.

    Parameters
    ----------
    work : Workspace
        Its store has a vector for each image.
    images, others : sequence of Image
        No image is in both.
    quiet : bool, default=False
        Show no progress.
    """
    if not images or not others:
        return set()
    mine, theirs = [image.hash for image in images], [image.hash for image in others]
    indices, similarity = nearest(work.store.rows(theirs), work.store.rows(mine), 1)
    closest = indices[:, 0]
    order = np.lexsort((-similarity[:, 0], closest))
    place = np.arange(len(order)) - np.searchsorted(closest[order], closest[order])
    rows = np.sort(order[(place < _NEIGHBOURS) & (similarity[order, 0] >= SIMILAR)])
    found = zip(rows.tolist(), closest[rows].tolist(), strict=True)
    pairs = [(theirs[i], mine[j]) for i, j in found]
    twins = _same_picture(work, [*images, *others], pairs, quiet)
    return {name for pair in twins for name in pair}.intersection(theirs)


def repeats_in(work: Workspace, images: Sequence[Image], *, quiet: bool = False) -> set[str]:
    """Return the hashes of the images that show the same picture as one earlier in the sequence.

    Parameters
    ----------
    work : Workspace
        Its store has a vector for each image.
    images : sequence of Image
        Distinct; so few that all are compared with all.
    quiet : bool, default=False
        Show no progress.
    """
    hashes = [image.hash for image in images]
    place = {name: row for row, name in enumerate(hashes)}
    twins = _same_picture(work, images, _proposed(work, hashes), quiet)
    return {max(pair, key=place.__getitem__) for pair in twins}


def _same_picture(
    work: Workspace, images: Sequence[Image], pairs: list[tuple[str, str]], quiet: bool
) -> set[tuple[str, str]]:
    """Return those of the proposed pairs that are copies; pixels are compared once and remembered."""
    pairs = sorted((min(pair), max(pair)) for pair in pairs)
    key = f"pairs_looked_at:{work.backbone.spec.fingerprint}"
    looked_at = {(a, b) for a, b in work.project.setting(key) or ()}
    proposed = [pair for pair in pairs if pair not in looked_at]
    if proposed:
        _confirm(work, images, proposed, key, sorted(looked_at.union(proposed)), quiet)
    return set(pairs).intersection(work.project.near_duplicates())


def _confirm(
    work: Workspace, images: Sequence[Image], proposed: list[tuple[str, str]], key: str, looked_at: list[Any],
    quiet: bool,
) -> None:  # fmt: skip
    """Keep the proposed pairs whose pixels agree, and under a key what was looked at, in one write."""
    found = _confirmed(work, images, proposed, quiet)
    with work.project.database.writing():
        work.project.add_near_duplicates(found)
        work.project.set_setting(key, looked_at)


def _confirmed(
    work: Workspace, images: Sequence[Image], proposed: list[tuple[str, str]], quiet: bool
) -> list[tuple[str, str]]:
    """Return the proposed pairs whose pixels agree; a part of them at a time on each core."""
    paths = {image.hash: image.path for image in images}
    white = work.backbone.spec.preprocess.white
    parts = [proposed[start : start + _PART] for start in range(0, len(proposed), _PART)]

    def look(part: list[tuple[str, str]]) -> list[tuple[str, str]]:
        same = confirm_duplicates([(paths[a], paths[b]) for a, b in part], white=white)
        return [pair for pair, is_same in zip(part, same, strict=True) if is_same]

    confirmed: list[tuple[str, str]] = []
    with (
        ThreadPoolExecutor(usable_cores()) as pool,
        Progress("compare", len(proposed), unit="pairs", quiet=quiet) as progress,
    ):
        for part, same in zip(parts, pool.map(look, parts), strict=True):
            confirmed += same
            progress.advance(len(part))
    return confirmed


def _proposed(work: Workspace, hashes: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs to look at, those of neighbouring files together."""
    if len(hashes) < 2:
        return []
    X = work.store.rows(hashes)
    indices, similarity = nearest(X, X, _NEIGHBOURS + 1)
    rows, columns = np.nonzero(similarity >= SIMILAR)
    found = zip(rows.tolist(), indices[rows, columns].tolist(), strict=True)
    pairs = sorted({(min(i, j), max(i, j)) for i, j in found if i != j})
    return [(hashes[i], hashes[j]) for i, j in pairs]
