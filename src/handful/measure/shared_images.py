"""How much an accuracy over tasks depends on the images that all tasks share.

Ten thousand tasks drawn from 500 images are not ten thousand independent experiments. Their mean is
known sharply for these images; on other images of the same classes it would be another. The mean
over all tasks is a U-statistic of the images, whose variance is to first order the sum of the
squared influences of the images [1]_. An image acts in two ways:

- *asked*: its influence is its share of all questions times how much easier it is than its class.
  Both are observed; the noise of the few tasks that ask it is subtracted.
- *given*: its influence is the share of the tasks that it supports times how much better these are.
  That is too noisy to observe image by image, but bounded: by Hoeffding's decomposition, the first-order
  parts of all support images together are at most the variance between tasks, so the variance of this
  part is at most the variance between tasks times the largest share of tasks that one image supports.

The two standard deviations are added, as if they went hand in hand. The classes are taken as given: for
other classes no number of images helps.

References
----------
.. [1] Hoeffding, "A Class of Statistics with Asymptotically Normal Distribution", Annals of
   Mathematical Statistics 19, 1948; Wager, Hastie and Efron, "Confidence Intervals for Random
   Forests: The Jackknife and the Infinitesimal Jackknife", JMLR 15, 2014, for the correction.
"""

from __future__ import annotations

import numpy as np

from handful.core import Float32, Float64
from handful.measure.tasks import Tasks


class SharedImages:
    """The images of a list of tasks, and how often each is asked.

    Parameters
    ----------
    tasks : Tasks

    Attributes
    ----------
    n_images : int
        Images, or groups of them, that some task asks or gives.
    most_given : float
        Largest expected share of tasks that one image supports. The images of a class are alike in
        the long run, so it is that of the class's tasks.
    """

    def __init__(self, tasks: Tasks) -> None:
        self._known = tasks.query_codes >= 0
        codes = np.maximum(tasks.query_codes, 0)
        asked = np.take_along_axis(tasks.classes, codes, axis=1)[self._known]
        self._unit, self._class = tasks.units[tasks.query[self._known]], asked
        n_asked = self._known.sum(axis=1)
        weight = 1 / np.maximum(n_asked, 1) / len(tasks)
        self._weight = np.repeat(weight, n_asked)
        self._n_units = int(tasks.units.max()) + 1
        self._n = np.bincount(self._unit, minlength=self._n_units)
        self.n_images, self.most_given = self._given(tasks)

    def error(self, hits: Float32) -> float:
        """Return the standard error of a mean accuracy over tasks that comes from their images.

        Parameters
        ----------
        hits : ndarray of shape (n_tasks, n_query)
            Whether each known query image was classified rightly; NaN elsewhere.
        """
        accuracy = accuracies(hits)
        between = float(accuracy.var(ddof=1)) if len(accuracy) > 1 else 0.0
        return self.asked_error(hits) + float(np.sqrt(self.most_given * between))

    def asked_error(self, hits: Float32) -> float:
        """Return the part of the error that comes from which images were asked."""
        hit, n = hits[self._known].astype(np.float64), self._n
        total = np.maximum(np.bincount(self._class, self._weight), 1e-300)
        of_class = np.bincount(self._class, hit * self._weight) / total
        rest = self._weight * (hit - of_class[self._class])
        influence = np.bincount(self._unit, rest, minlength=self._n_units)
        squares = np.bincount(self._unit, np.square(rest), minlength=self._n_units)
        # the noise of n questions about one image; of a single one, all may be noise
        spread = np.maximum(squares - np.square(influence) / np.maximum(n, 1), 0)
        noise = np.where(n > 1, spread * n / np.maximum(n - 1, 1), squares)
        return float(np.sqrt(max(np.square(influence).sum() - noise.sum(), 0.0)))

    def _given(self, tasks: Tasks) -> tuple[int, float]:
        given, n_classes = tasks.support >= 0, len(tasks.class_names)
        owner = np.broadcast_to(tasks.classes[:, :, None], given.shape)[given]
        class_of = np.full(self._n_units, -1)
        class_of[self._unit] = self._class
        class_of[tasks.units[tasks.support[given]]] = owner
        used = class_of[class_of >= 0]
        images = np.bincount(used, minlength=n_classes)
        share = np.bincount(owner, minlength=n_classes) / len(tasks) / np.maximum(images, 1)
        return len(used), float(share.max(initial=0.0))


def accuracies(hits: Float32) -> Float64:
    """Return the accuracy of each task."""
    return np.asarray(np.nanmean(hits, axis=1, dtype=np.float64))
