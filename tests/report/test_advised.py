"""The plans in a terminal and on the page: order, costs, reasons, and what may be missing."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from handful.core import BundleError, Estimate
from handful.report import advice_table, render
from handful.report.advised import read_advice
from handful.report.node import Node

ACCURACY = Estimate(0.842, 0.781, 0.89, 60, "expected accuracy", "tried on 60 labels").as_dict()
PLANS = [
    {"name": "probe", "title": "Linear probe", "accuracy": ACCURACY, "minutes": 0.2, "labels": 0,
     "command": "handful fit <b>", "ruled_out": ""},
    {"name": "label_more", "title": "Label 50 more first", "minutes": 4.2, "labels": 50,
     "command": "handful label <b>", "ruled_out": ""},
    {"name": "finetune", "title": "Fine-tune the backbone", "ruled_out": "torch is not there"},
]  # fmt: skip
ADVICE: dict[str, Any] = {
    "sentence": "Linear probe: 84.2 %.", "plans": PLANS, "executed": "probe", "why": "It promises most.",
    "data": {"images": 100, "unlabelled": 40, "classes": {"a": 30, "b": 20}, "near_duplicates": 1,
             "side": 64, "smallest_side": 32, "distance": 0.75},
    "machine": {"cores": 2, "memory": 8.0, "torch": False, "gpu": False},
}  # fmt: skip


def printed(advice: dict[str, Any], width: int = 160) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(advice_table(advice))
    return console.export_text()


def test_a_plan_a_place_with_what_it_costs_and_why() -> None:
    text = printed(ADVICE)
    assert "1  Linear probe  84.2 % (78.1–89.0)  seconds" in text
    assert "2  Label 50 more first  no forecast  about 4 min, 50 labels" in text
    assert "Tried on 60 labels." in text and "handful fit <b>" in text
    assert "Torch is not there." in text.split("Not here:")[1]
    assert (
        "100 images, 40 unlabelled; 2 classes, 20 to 30 labels a class; 1 pair of near-dup" in text
    )
    assert "far away (0.75 of 1)" in text and "2 cores, 8 GB, no torch, no GPU" in text


def test_anything_may_be_missing() -> None:
    assert read_advice(Node(None)) is None
    assert printed({}).strip() == ""
    assert "no label" in printed({"data": {"images": 3}})


def test_a_value_of_a_wrong_kind_names_its_place() -> None:
    with pytest.raises(BundleError, match=r"plans\[0\]\.title"):
        advice_table({"plans": [{"title": 3}]})


def test_the_page_marks_the_plan_that_was_carried_out() -> None:
    page = render({"advice": ADVICE}, lambda name: None)
    assert "It promises most." in page and "1 plan ruled out" in page
    assert "handful fit &lt;b&gt;" in page and "<b>" not in page
    assert '<tr class="chosen"><th scope="row">Linear probe</th>' in page
    assert "Which plan" not in render({}, lambda name: None)
