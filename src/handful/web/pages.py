"""The pages of the server, filled in with what is known of the model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from handful import __version__
from handful.core import Estimate
from handful.web.predictor import Predictor

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Return a template as a response.

    Parameters
    ----------
    template : str
        A file of the folder ``templates/``.
    status : int, default=200
        HTTP status code.
    **context
        What the template names.
    """
    html = _templates.get_template(template).render(version=__version__, **context)
    return HTMLResponse(html, status)


def facts(predictor: Predictor) -> dict[str, Any]:
    """Return what the pages tell of a model.

    Parameters
    ----------
    predictor : Predictor
        Its ``info`` may hold ``name``, and ``accuracy`` as `Estimate.as_dict` writes it.

    Returns
    -------
    dict
        ``name``, ``classes``, ``accuracy`` and ``accuracy_how``; the last two are empty
        when the accuracy is not known.
    """
    accuracy = _estimate(predictor.info.get("accuracy"))
    return {
        "name": str(predictor.info.get("name") or "model"),
        "classes": list(predictor.classes),
        "accuracy": accuracy.percent if accuracy else "",
        "accuracy_how": str(accuracy) if accuracy else "",
    }


def _estimate(fields: dict[str, Any] | None) -> Estimate | None:
    if not fields:
        return None
    estimate = Estimate.from_dict(fields)
    return None if math.isnan(estimate.value) else estimate
