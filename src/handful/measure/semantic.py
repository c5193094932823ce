"""Distances between classes, and tasks whose classes are alike: the hard ones, and the usual ones."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from handful.core import Array, Float64, Int, MeasureError, listed

ALPHA, BETA = 0.3830, 100.0  # of Bennequin et al., for Jiang-Conrath distances


def taxonomy_distances(
    edges: Iterable[tuple[str, str]], class_names: Sequence[str], n_images: Sequence[int]
) -> Float64:
    """Return the Jiang-Conrath distances between classes of a taxonomy.

    ``D(a, b) = 2 log n(lca) - log n(a) - log n(b)``, where ``n`` counts the images of a node and all
    below it, and ``lca`` is the lowest node above both [1]_, [2]_.

    Parameters
    ----------
    edges : iterable of (parent, child)
        Any depth; a node may have several parents.
    class_names : sequence of str
        Nodes of the taxonomy.
    n_images : sequence of int
        Images of each class, above 0.

    Returns
    -------
    ndarray of shape (n_classes, n_classes)
        Symmetric, 0 on the diagonal, in nats.

    Raises
    ------
    MeasureError
        If a class is no node, has no image, has no ancestor in common with another, or there is a cycle.

    References
    ----------
    .. [1] Jiang and Conrath, "Semantic Similarity Based on Corpus Statistics and Lexical
       Taxonomy", 1997, https://arxiv.org/abs/cmp-lg/9709008.
    .. [2] Bennequin et al., 2022, https://arxiv.org/abs/2205.05155. Of several common ancestors,
       the one with the fewest images is the lowest.

    Examples
    --------
    >>> edges = [("pet", "cat"), ("pet", "dog"), ("thing", "pet"), ("thing", "car")]
    >>> taxonomy_distances(edges, ["car", "cat", "dog"], [10, 10, 10]).round(2).tolist()
    [[0.0, 2.2, 2.2], [2.2, 0.0, 1.39], [2.2, 1.39, 0.0]]
    """
    parents: dict[str, list[str]] = {}
    for parent, child in edges:
        parents.setdefault(child, []).append(parent)
        parents.setdefault(parent, [])
    strange = [name for name in class_names if name not in parents]
    if strange or any(n < 1 for n in n_images):
        raise MeasureError(
            f"Every class must be in the taxonomy and have images. Not so: {listed(strange or ['n_images'])}. "
            "Add the missing lines PARENT,CHILD, or leave the class out."
        )
    above = [_ancestors(name, parents) for name in class_names]
    counts: dict[str, int] = {}
    for nodes, n in zip(above, n_images, strict=True):
        for node in nodes:
            counts[node] = counts.get(node, 0) + int(n)
    own = np.log([counts[name] for name in class_names])
    out = np.zeros((len(own), len(own)))
    for i in range(len(own)):
        for j in range(i):
            common = above[i] & above[j]
            if not common:
                raise MeasureError(
                    f"{class_names[i]!r} and {class_names[j]!r} have no ancestor in common. "
                    "Give the taxonomy one root."
                )
            lowest = np.log(min(counts[node] for node in common))
            out[i, j] = out[j, i] = max(2 * lowest - own[i] - own[j], 0.0)
    return out


def read_taxonomy(path: Path | str) -> list[tuple[str, str]]:
    """Return the edges of a taxonomy for `taxonomy_distances` from a text file.

    Parameters
    ----------
    path : Path or str
        UTF-8, a line ``PARENT,CHILD`` an edge; empty lines and a first line ``parent,child`` are skipped.

    Raises
    ------
    MeasureError
        Naming the lines that are no pair.
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(row)]
    if rows and [cell.strip().lower() for cell in rows[0][1]] == ["parent", "child"]:
        rows = rows[1:]
    bad = [str(number) for number, row in rows if len(row) != 2 or not all(c.strip() for c in row)]
    if bad or not rows:
        raise MeasureError(
            f"{str(path)!r} must hold a line PARENT,CHILD for each edge of the taxonomy. "
            f"Not so: {'line ' + listed(bad) if bad else 'it is empty'}."
        )
    return [(row[0].strip(), row[1].strip()) for _, row in rows]


def prototype_distances(X: Array, y: Array) -> Float64:
    """Return distances between classes from vectors: those of their means, or of one text vector a class.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Vectors of images, or one text vector a class.
    y : array of shape (n_samples,)
        Their classes.

    Returns
    -------
    ndarray of shape (n_classes, n_classes)
        Classes sorted; angles between the means after the mean of all classes is taken away, in
        radians, scaled so that their mean is that of the taxonomies the default ``alpha`` was chosen for.

    Examples
    --------
    >>> X = np.array([[1.0, 0.1], [1.0, 0.2], [0.0, 1.0]])
    >>> prototype_distances(X, np.array(["a", "b", "c"])).argmin(axis=1).tolist()
    [0, 1, 2]
    """
    X = np.asarray(X, np.float64)
    names, codes = np.unique(y, return_inverse=True)
    rows = X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-30)
    means = np.stack([rows[codes == c].mean(axis=0) for c in range(len(names))])
    if len(means) > 2:  # what all classes share tells nothing; two classes would be opposite
        means = means - means.mean(axis=0)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-30)
    angles = np.arccos(np.clip(means @ means.T, -1, 1))
    np.fill_diagonal(angles, 0.0)
    others = angles[~np.eye(len(angles), dtype=bool)]
    return angles * (_USUAL / others.mean()) if len(others) and others.mean() > 0 else angles


_USUAL = 9.0  # mean Jiang-Conrath distance between classes of tiered-ImageNet, in nats


def semantic_classes(
    distances: Float64,
    n_way: Int,
    random: np.random.Generator,
    *,
    alpha: float = ALPHA,
    beta: float = BETA,
) -> list[Int]:
    """Return the classes of tasks in which classes are alike, each class used about equally often.

    The first class is drawn with weights ``exp(-beta n / max n)`` of the number ``n`` of tasks it
    is in already, every further one with the product of ``exp(-alpha D)`` over the classes drawn [1]_.

    Parameters
    ----------
    distances : ndarray of shape (n_classes, n_classes)
    n_way : ndarray of shape (n_tasks,)
    random : numpy.random.Generator
    alpha : float
        0 draws uniformly; higher draws classes that are more alike.
    beta : float
        How strongly classes that were used more are avoided.

    References
    ----------
    .. [1] Bennequin et al., CVPRW 2022, section 4, https://arxiv.org/abs/2205.05155. As there, sets
       that came before are dropped, among at most twice as many draws. Deviation: all numbers of
       use are kept up to date after each task.
    """
    distances = np.asarray(distances, np.float64)
    used = np.zeros(len(distances))
    seen: set[tuple[int, ...]] = set()
    out: list[Int] = []
    spare = len(n_way)
    while len(out) < len(n_way):
        drawn = _one_task(distances, int(n_way[len(out)]), used, random, alpha, beta)
        key = tuple(sorted(drawn))
        if key in seen and spare > 0:
            spare -= 1
            continue
        seen.add(key)
        used[drawn] += 1
        out.append(np.array(drawn))
    return out


def _one_task(
    distances: Float64,
    n_way: int,
    used: Float64,
    random: np.random.Generator,
    alpha: float,
    beta: float,
) -> list[int]:
    logits = -beta * used / max(used.max(), 1.0)
    drawn: list[int] = []
    for _ in range(n_way):
        weights = np.exp(logits - logits.max())
        weights[drawn] = 0.0
        upto = np.cumsum(weights)
        drawn.append(int(np.searchsorted(upto, random.random() * upto[-1], side="right")))
        logits = -alpha * distances[drawn].sum(axis=0)
        logits[drawn] = -np.inf
    return drawn


def _ancestors(name: str, parents: dict[str, list[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += parents[node]
    return found
