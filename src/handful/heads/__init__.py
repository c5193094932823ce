"""Decision rules on vectors: scikit-learn classifiers with an ONNX form."""

from handful.heads.calibration import TemperatureScaled
from handful.heads.conformal import ConformalSets
from handful.heads.knn import NearestNeighbours
from handful.heads.label_spreading import LabelSpreading
from handful.heads.linear_probe import LinearProbe
from handful.heads.logits import Head, softmax
from handful.heads.open_set import KnownScorer
from handful.heads.pooled import WithPool
from handful.heads.pooled import WithPool
from handful.heads.prototypes import PrototypeClassifier
from handful.heads.self_training import Round, SelfTraining
from handful.heads.spreading_probe import SpreadingProbe, Verdict
from handful.heads.vectors import transformed

__all__ = [
    "ConformalSets",
    "Head",
    "KnownScorer",
    "LabelSpreading",
    "LinearProbe",
    "NearestNeighbours",
    "PrototypeClassifier",
    "Round",
    "SelfTraining",
    "SpreadingProbe",
    "TemperatureScaled",
    "Verdict",
    "WithPool",
    "WithPool",
    "softmax",
    "transformed",
]
