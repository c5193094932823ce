"""Find labelled images that show the same picture, so that no split has it on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handful.embeddings import nearest
from handful.images import confirm_duplicates
from handful.jobs.workspace import Workspace
from handful.project import Image

SIMILAR = 0.9  # cosine from which a pair is looked at
_NEIGHBOURS = 6


def find_near_duplicates(work: Workspace, images: Sequence[Image]) -> set[tuple[str, str]]:
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
    """
    key = f"near_duplicates_looked_at:{work.backbone.spec.fingerprint}"
    looked_at = set(work.project.setting(key) or ())
    hashes = [image.hash for image in images]
    if set(hashes) - looked_at:
        proposed = [pair for pair in _proposed(work, hashes) if not looked_at.issuperset(pair)]
        paths = {image.hash: image.path for image in images}
        confirmed = confirm_duplicates(
            [(paths[a], paths[b]) for a, b in proposed], white=work.backbone.spec.preprocess.white
        )
        work.project.add_near_duplicates(
            [pair for pair, is_same in zip(proposed, confirmed, strict=True) if is_same]
        )
        work.project.set_setting(key, sorted(looked_at | set(hashes)))
    here = set(hashes)
    return {pair for pair in work.project.near_duplicates() if here.issuperset(pair)}


def _proposed(work: Workspace, hashes: Sequence[str]) -> list[tuple[str, str]]:
    if len(hashes) < 2:
        return []
    X = work.store.rows(hashes)
    indices, similarity = nearest(X, X, _NEIGHBOURS + 1)
    rows, columns = np.nonzero(similarity >= SIMILAR)
    found = zip(rows.tolist(), indices[rows, columns].tolist(), strict=True)
    return sorted(
        {(min(a, b), max(a, b)) for a, b in ((hashes[i], hashes[j]) for i, j in found) if a != b}
    )
