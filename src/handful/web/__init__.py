"""The prediction server, with a page to drop images on, and the labelling page.

Imports ``core`` alone: a model is passed in as a `Predictor`, a folder as a `Labeller`.
"""

from handful.web.guard import ANY_ADDRESS, LOOPBACK, check_token, is_loopback
from handful.web.labeller import Labeller
from handful.web.labelling import create_labelling_app
from handful.web.limits import Limits, RefusedError
from handful.web.prediction import create_app
from handful.web.predictor import Predictor
from handful.web.serving import run, run_labelling

__all__ = [
    "ANY_ADDRESS",
    "LOOPBACK",
    "Labeller",
    "Limits",
    "Predictor",
    "RefusedError",
    "check_token",
    "create_app",
    "create_labelling_app",
    "is_loopback",
    "run",
    "run_labelling",
]
