"""Inner products of many small tasks at once: all that a rule on vectors needs of its images.

A distance, a cosine, a ridge regression and a discriminant depend on the vectors only through
their inner products. So a rule that is written on inner products runs on thousands of tasks in
one call, whether the products are looked up in the Gram matrix of all images or computed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from handful.core import Array, Bool, Float32, Int

_CACHE = 2**18  # numbers that are multiplied at a time: they stay in the processor's cache
_MOST_GRAM = 2**28  # entries, 1 GiB
_TINY = np.float32(1e-30)


class InnerProducts:
    """Inner products of rows of one array, for many tasks.

    The Gram matrix of all rows is computed once where it fits into 1 GiB and is expected to be
    cheaper than the products that are asked for; otherwise each task's rows are multiplied.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32
    rows : int, default=0
        Rows of all tasks together.
    pairs : int, default=0
        Products of all tasks together.

    Attributes
    ----------
    gram : ndarray of shape (n_samples, n_samples) or None

    Examples
    --------
    >>> X = np.array([[1, 0], [1, 2], [0, 3]], np.float32)
    >>> InnerProducts(X).between(np.array([[0, 1]]), np.array([[2, 1]])).tolist()
    [[[0.0, 1.0], [6.0, 5.0]]]
    """

    def __init__(self, X: Float32, *, rows: int = 0, pairs: int = 0) -> None:
        self.X = np.ascontiguousarray(X, np.float32)
        n, d = self.X.shape
        # nanoseconds, measured at 512 dimensions on two cores: only their order matters
        looked_up, multiplied = 0.02 * n * n * d + 20 * pairs, (rows + 0.03 * pairs) * d
        fits = n * n <= _MOST_GRAM
        self.gram: Float32 | None = self.X @ self.X.T if fits and looked_up < multiplied else None
        self.squares: Float32 = np.einsum("ij,ij->i", self.X, self.X)

    def between(self, a: Int, b: Int) -> Float32:
        """Return the products of rows ``a`` [t, m] and ``b`` [t, n], of shape (t, m, n)."""
        if self.gram is not None:
            n = np.int64(len(self.X))
            return self.gram.ravel().take((a * n)[:, :, None] + b[:, None, :], mode="wrap")
        out = np.empty((len(a), a.shape[1], b.shape[1]), np.float32)
        size = max(1, _CACHE // ((a.shape[1] + b.shape[1]) * self.X.shape[1]))
        for start in range(0, len(a), size):
            block = slice(start, start + size)
            left, right = (self.X.take(rows[block], axis=0, mode="wrap") for rows in (a, b))
            np.matmul(left, right.transpose(0, 2, 1), out=out[block])
        return out


@dataclass(frozen=True)
class Products:
    """Inner products of the support and the query images of ``t`` tasks.

    Parameters
    ----------
    support : ndarray of shape (t, n_way * n_shot, n_way * n_shot), float32
        Among the support images, class after class.
    cross : ndarray of shape (t, n_query, n_way * n_shot), float32
    squares : ndarray of shape (t, n_query), float32
        Squared lengths of the query images.
    given : ndarray of shape (t, n_way, n_shot), bool
        Which places of the support hold an image: classes and tasks may have fewer.
    dim : int
        Length of a vector.
    pool : ndarray of shape (t, n_query, n_query), float32, optional
        Among the query images, for transductive rules.
    in_pool : ndarray of shape (t, n_query), bool, optional
        Which places of the query hold an image.
    """

    support: Float32
    cross: Float32
    squares: Float32
    given: Bool
    dim: int
    pool: Float32 | None = None
    in_pool: Bool | None = None

    @classmethod
    def of(
        cls, inner: InnerProducts, support: Int, query: Int, *, with_pool: bool = False
    ) -> Products:
        """Return the products of tasks.

        Parameters
        ----------
        inner : InnerProducts
        support : ndarray of shape (t, n_way, n_shot), int
            Row numbers, -1 where there is no image.
        query : ndarray of shape (t, n_query), int
            Row numbers, -1 where there is no image.
        with_pool : bool, default=False
            Whether a transductive rule is to use them.
        """
        flat = support.reshape(len(support), -1)
        return cls(
            support=inner.between(flat, flat), cross=inner.between(query, flat),
            squares=inner.squares.take(query, mode="wrap"), given=support >= 0, dim=inner.X.shape[1],
            pool=inner.between(query, query) if with_pool else None, in_pool=query >= 0,
        )  # fmt: skip

    @property
    def classes(self) -> Bool:
        """Which classes a task has, of shape (t, n_way)."""
        return np.asarray(self.given.any(axis=2))

    @property
    def means(self) -> Float32:
        """Weights of shape (t, n_way, n_way * n_shot) that turn support images into class means."""
        t, w, k = self.given.shape
        share = self.given / np.maximum(self.given.sum(axis=2, keepdims=True), 1)
        out = np.zeros((t, w, w, k), np.float32)
        out[:, np.arange(w), np.arange(w)] = share
        return out.reshape(t, w, w * k)

    def to_means(self, cross: Array) -> Float32:
        """Return products with class means, (t, n, n_way), from those with support images."""
        t, w, k = self.given.shape
        if k == 1 and self.given.all():
            return cross
        share = self.given / np.maximum(self.given.sum(axis=2, keepdims=True), 1)
        return np.einsum("tqwk,twk->tqw", cross.reshape(t, -1, w, k), share.astype(np.float32))

    def mean_squares(self) -> Float32:
        """Return the squared lengths of the class means, of shape (t, n_way)."""
        inside = self.to_means(self.support)
        return np.diagonal(self.to_means(inside.transpose(0, 2, 1)), axis1=1, axis2=2)

    def support_squares(self) -> Float32:
        """Return the squared lengths of the support images, of shape (t, n_way * n_shot)."""
        return np.diagonal(self.support, axis1=1, axis2=2)

    def centred(self) -> Products:
        """Return the products after the mean of the class means is taken from every image."""
        inside, across = self.to_means(self.support), self.to_means(self.cross)
        n_classes = np.maximum(self.classes.sum(axis=1), 1).astype(np.float32)[:, None]
        own, asked = inside.sum(axis=2) / n_classes, across.sum(axis=2) / n_classes
        level = (self.to_means(own[:, None, :]).sum(axis=2) / n_classes)[:, :, None]
        pool = self.pool
        if pool is not None:
            pool = pool - asked[:, :, None] - asked[:, None, :] + level
        return replace(
            self, pool=pool,
            support=self.support - own[:, :, None] - own[:, None, :] + level,
            cross=self.cross - asked[:, :, None] - own[:, None, :] + level,
            squares=np.maximum(self.squares - 2 * asked + level[:, :, 0], 0),
        )  # fmt: skip

    def normalised(self) -> Products:
        """Return the products of the images scaled to unit length."""
        own = (1 / np.sqrt(np.maximum(self.support_squares(), _TINY))).astype(np.float32)
        asked = (1 / np.sqrt(np.maximum(self.squares, _TINY))).astype(np.float32)
        pool = self.pool
        if pool is not None:
            pool = pool * asked[:, :, None] * asked[:, None, :]
        return replace(
            self, pool=pool,
            support=self.support * own[:, :, None] * own[:, None, :],
            cross=self.cross * asked[:, :, None] * own[:, None, :],
            squares=self.squares * np.square(asked),
        )  # fmt: skip
