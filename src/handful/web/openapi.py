"""The description of the server's interface, as OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from handful import __version__
from handful.web.limits import Limits, mebibytes
from handful.web.predictor import Predictor

_ERROR = {"$ref": "#/components/schemas/Error"}
_REASONS = {
    400: "The body or the Host header is malformed.",
    401: "The token is missing or wrong.",
    403: "The Host or the Origin header belongs to another site.",
    408: "The body did not arrive in time.",
    413: "The request or the image is too large, or there are too many files.",
    415: "The content is not an image of a known format.",
    422: "The file is empty or damaged, or there is no file.",
    500: "The server failed; its log says why.",
    503: "The server is overloaded; Retry-After says when to try again, in seconds.",
}


def openapi(predictor: Predictor, limits: Limits, *, needs_token: bool) -> dict[str, Any]:
    """Return the description as JSON values.

    Parameters
    ----------
    predictor : Predictor
        Its classes are listed in the answer's schema.
    limits : Limits
        Told to the reader.
    needs_token : bool
        Whether a token is demanded.

    Returns
    -------
    dict
        An OpenAPI 3.1 document.
    """
    name = str(predictor.info.get("name", "model"))
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": f"{name}: image classifier",
            "version": __version__,
            "description": f"Tells {len(predictor.classes)} classes apart. "
            "An image unlike every labelled one is answered with is_known = false.",
        },
        "paths": {
            "/predict": {"post": _predict(limits)},
            "/model": {"get": _get("What is known of the model", "Its facts.", {"type": "object"})},
            "/health": {"get": _get("Whether the server answers", "It does.", _health())},
            "/metrics": {"get": _metrics()},
        },
        "components": {"schemas": _schemas(list(predictor.classes))},
    }
    if needs_token:
        document["components"]["securitySchemes"] = {
            "header": {"type": "http", "scheme": "bearer"},
            "query": {"type": "apiKey", "in": "query", "name": "token"},
        }
        document["security"] = [{"header": []}, {"query": []}]
        document["paths"]["/health"]["get"]["security"] = []
    return document


def _predict(limits: Limits) -> dict[str, Any]:
    image = {"type": "string", "contentMediaType": "application/octet-stream"}
    files = {"type": "array", "items": image, "maxItems": limits.max_files}
    form = {"type": "object", "properties": {"files": files}, "required": ["files"]}
    return {
        "summary": "Classify one or many images",
        "operationId": "predict",
        "description": (
            "Send multipart/form-data with one or more files, or the bytes of one image. "
            f"At most {limits.max_files} files, {mebibytes(limits.max_bytes)} and "
            f"{limits.max_pixels:,} pixels an image, "
            f"{mebibytes(limits.max_request_bytes)} a request. An image that cannot be used is "
            "answered with its error, and the others are still classified; the status is 200 "
            "unless no image could be."
        ),
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                "application/octet-stream": {"schema": {"type": "string"}},
                "image/*": {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "200": _json("One answer an image, in order.", {"$ref": "#/components/schemas/Answer"})
        }
        | {str(status): _json(reason, _ERROR) for status, reason in _REASONS.items()},
    }


def _get(summary: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": _json(description, schema)}}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _health() -> dict[str, Any]:
    return {"type": "object", "properties": {"status": {"const": "ok"}}}


def _metrics() -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "summary": "Metrics for Prometheus",
        "responses": {"200": {"description": "The text format, 0.0.4.", "content": text}},
    }


def _schemas(classes: list[str]) -> dict[str, Any]:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    fault = {
        "type": "object",
        "required": ["reason", "message"],
        "properties": {"reason": {"type": "string"}, "message": {"type": "string"}},
    }
    prediction = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": ["string", "null"], "description": "The file's name."},
            "label": {
                "enum": classes,
                "description": "The class decided for, mostly the most probable one.",
            },
            "confidence": share | {"description": "Its calibrated probability."},
            "known": share | {"description": "How like the labelled images it is."},
            "is_known": {"type": "boolean", "description": "False for an unknown kind of image."},
            "probabilities": {"type": "object", "additionalProperties": share},
            "error": {"$ref": "#/components/schemas/Fault"},
        },
    }
    return {
        "Answer": {
            "type": "object",
            "required": ["predictions"],
            "properties": {
                "predictions": {
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/Prediction"},
                }
            },
        },
        "Prediction": prediction,
        "Fault": fault,
        "Error": {
            "type": "object",
            "required": ["error"],
            "properties": {"error": {"$ref": "#/components/schemas/Fault"}},
        },
    }
