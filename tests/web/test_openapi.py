from __future__ import annotations

import json

import pytest

from handful.web import Limits
from handful.web.openapi import openapi


@pytest.fixture
def document(predictor):
    return openapi(predictor, Limits(), needs_token=True)


def references(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def test_it_is_json_and_every_reference_leads_somewhere(document):
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    for reference in references(document):
        target = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def test_a_token_is_described_only_where_there_is_one(predictor, document):
    assert document["paths"]["/health"]["get"]["security"] == []
    assert set(document["components"]["securitySchemes"]) == {"header", "query"}
    assert "security" not in openapi(predictor, Limits(), needs_token=False)


@pytest.mark.anyio
async def test_answers_have_the_fields_it_describes(connect, predictor, image, document):
    described = document["components"]["schemas"]["Prediction"]["properties"]
    async with connect(predictor) as client:
        good = (await client.post("/predict", content=image("red"))).json()["predictions"][0]
        bad = (await client.post("/predict", content=b"")).json()["predictions"][0]
    assert set(good) == set(described) - {"error"}
    assert set(bad) == {"name", "error"}
    assert good["label"] in described["label"]["enum"]
