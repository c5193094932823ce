"""The heads that ``fit`` compares, the default first.

The linear probe is the default since it was the most accurate on average at every number of
labels (``by_shots_and_balance`` in ``benchmarks/results/interval_coverage.json``); another head
is taken where the folds show it to be better. With unlabelled images, the head that learns from them
as well is the default (``benchmarks/semisupervised_vectors.py``), where its own evidence speaks for it.
"""

from __future__ import annotations

from typing import Any

from handful.core import Float32

METHODS = ("linear_probe", "prototypes", "nearest_neighbours")
POOLED = ("spreading_probe", "label_spreading", "self_training")  # learn from unlabelled images too


def check_method(method: str) -> None:
    """Raise ValueError unless ``--method`` is one of these.

    Examples
    --------
    >>> check_method("auto")
    """
    if method not in ("auto", *METHODS, *POOLED):
        known = ", ".join(("auto", *METHODS, *POOLED))
        raise ValueError(f"No method {method!r}. Expected one of {known}.")


def heads(method: str, pool: Float32 | None = None) -> dict[str, Any]:
    """Return the unfitted, calibrated heads of ``--method``, the preferred first.

    Parameters
    ----------
    method : str
        ``"auto"`` is all that leave unlabelled images aside, and before them, with a
        pool, the spreading probe.
    pool : ndarray of shape (n_unlabelled, n_features), float32, optional
        Vectors of unlabelled images.

    Examples
    --------
    >>> list(heads("prototypes")), list(heads("auto"))
    (['prototypes'], ['linear_probe', 'prototypes', 'nearest_neighbours'])
    """
    from handful.heads import (
        LabelSpreading,
        LinearProbe,
        NearestNeighbours,
        PrototypeClassifier,
        SelfTraining,
        SpreadingProbe,
        TemperatureScaled,
        WithPool,
    )

    check_method(method)
    known: dict[str, Any] = {
        "prototypes": PrototypeClassifier(),
        "nearest_neighbours": NearestNeighbours(),
        "linear_probe": LinearProbe(),
    }
    names = METHODS if method == "auto" else (method,)
    if pool is not None:
        most = max(len(pool), 1)
        known |= {
            "spreading_probe": WithPool(SpreadingProbe(max_unlabelled=most), pool),
            "label_spreading": WithPool(LabelSpreading(max_unlabelled=most), pool),
            "self_training": WithPool(SelfTraining(max_unlabelled=most), pool),
        }
        names = (POOLED[0], *names) if method == "auto" else names
    return {name: TemperatureScaled(known[name]) for name in names}
