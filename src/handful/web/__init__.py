"""The prediction server: a page to drop images on, and the same over HTTP for programs.

Imports ``core`` alone: the model is passed in as a `Predictor`.
"""

from handful.web.guard import ANY_ADDRESS, LOOPBACK, check_token, is_loopback
from handful.web.limits import Limits, RefusedError
from handful.web.prediction import create_app
from handful.web.predictor import Predictor
from handful.web.serving import run

__all__ = [
    "ANY_ADDRESS",
    "LOOPBACK",
    "Limits",
    "Predictor",
    "RefusedError",
    "check_token",
    "create_app",
    "is_loopback",
    "run",
]
