"""The heads that ``fit`` compares, the default first.

The linear probe is the default since it was the most accurate on average at every number of
labels (``by_shots_and_balance`` in ``benchmarks/results/interval_coverage.json``); another head
is taken where the folds show it to be better.
"""

from __future__ import annotations

from typing import Any

METHODS = ("linear_probe", "prototypes", "nearest_neighbours")


def heads(method: str) -> dict[str, Any]:
    """Return the unfitted, calibrated heads of ``--method``: all of them for ``"auto"``.

    Raises
    ------
    ValueError
        If there is no such method.

    Examples
    --------
    >>> list(heads("prototypes"))
    ['prototypes']
    """
    from handful.heads import LinearProbe, NearestNeighbours, PrototypeClassifier, TemperatureScaled

    known = {
        "prototypes": PrototypeClassifier(),
        "nearest_neighbours": NearestNeighbours(),
        "linear_probe": LinearProbe(),
    }
    if method != "auto" and method not in known:
        raise ValueError(f"No method {method!r}. Expected auto, {', '.join(METHODS)}.")
    names = METHODS if method == "auto" else (method,)
    return {name: TemperatureScaled(known[name]) for name in names}
