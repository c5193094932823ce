"""Decision rules on vectors: scikit-learn classifiers with an ONNX form."""

from handful.heads.calibration import TemperatureScaled
from handful.heads.clap import CLAP
from handful.heads.conformal import ConformalSets
from handful.heads.distribution_calibration import DistributionCalibration
from handful.heads.dropout import DropoutProbe
from handful.heads.ensemble import BootstrapEnsemble
from handful.heads.gaussian_process import GaussianProcess
from handful.heads.gda_text import GDAText
from handful.heads.knn import NearestNeighbours
from handful.heads.label_spreading import LabelSpreading
from handful.heads.laplace import LaplaceProbe
from handful.heads.laplacian import LaplacianPrototypes
from handful.heads.linear_classifier import LinearClassifier
from handful.heads.linear_probe import LinearProbe
from handful.heads.logistic_probe import LogisticProbe
from handful.heads.logits import Head, softmax
from handful.heads.matching import MatchingClassifier
from handful.heads.open_set import KnownScorer
from handful.heads.pooled import WithPool
from handful.heads.products import InnerProducts, Products
from handful.heads.prototypes import PrototypeClassifier
from handful.heads.ridge_probe import RidgeProbe
from handful.heads.rules import RULES, Rule
from handful.heads.self_training import Round, SelfTraining
from handful.heads.shrinkage_lda import ShrinkageLDA
from handful.heads.simple_shot import SimpleShot
from handful.heads.soft_kmeans import SoftKMeansPrototypes
from handful.heads.spreading_probe import SpreadingProbe, Verdict
from handful.heads.text_adapters import CrossModalProbe, SSText, TextRidge, TipAdapter
from handful.heads.text_and_labels import Blend, TextAndLabels
from handful.heads.trans_clip import (
    LEAST_POOL,
    Transduction,
    TransductiveClassifier,
    transduce,
)
from handful.heads.transductive import UnbalancedPoolWarning
from handful.heads.vectors import transformed
from handful.heads.zero_shot import (
    KnownClasses,
    TextMap,
    ZeroShotClassifier,
    held_out_classes,
)

__all__ = [
    "CLAP",
    "LEAST_POOL",
    "RULES",
    "Blend",
    "BootstrapEnsemble",
    "ConformalSets",
    "CrossModalProbe",
    "DistributionCalibration",
    "DropoutProbe",
    "GDAText",
    "GaussianProcess",
    "Head",
    "InnerProducts",
    "KnownClasses",
    "KnownScorer",
    "LabelSpreading",
    "LaplaceProbe",
    "LaplacianPrototypes",
    "LinearClassifier",
    "LinearProbe",
    "LogisticProbe",
    "MatchingClassifier",
    "NearestNeighbours",
    "Products",
    "PrototypeClassifier",
    "RidgeProbe",
    "Round",
    "Rule",
    "SSText",
    "SelfTraining",
    "ShrinkageLDA",
    "SimpleShot",
    "SoftKMeansPrototypes",
    "SpreadingProbe",
    "TemperatureScaled",
    "TextAndLabels",
    "TextMap",
    "TextRidge",
    "TipAdapter",
    "Transduction",
    "TransductiveClassifier",
    "UnbalancedPoolWarning",
    "Verdict",
    "WithPool",
    "ZeroShotClassifier",
    "held_out_classes",
    "softmax",
    "transduce",
    "transformed",
]
