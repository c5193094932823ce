"""Decision rules on vectors: scikit-learn classifiers with leave-one-out logits and an ONNX form."""

from handful.heads.calibration import TemperatureScaled, fitted_temperature
from handful.heads.conformal import ConformalSets
from handful.heads.knn import NearestNeighbours
from handful.heads.linear_probe import LinearProbe
from handful.heads.logits import Head, softmax
from handful.heads.open_set import KnownScorer
from handful.heads.prototypes import PrototypeClassifier

__all__ = [
    "ConformalSets",
    "Head",
    "KnownScorer",
    "LinearProbe",
    "NearestNeighbours",
    "PrototypeClassifier",
    "TemperatureScaled",
    "fitted_temperature",
    "softmax",
]
