"""Decision rules on vectors: scikit-learn classifiers with an ONNX form."""

from handful.heads.calibration import TemperatureScaled
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
    "softmax",
]
