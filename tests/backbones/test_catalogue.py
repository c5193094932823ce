from __future__ import annotations

import sys
from pathlib import Path

import pytest

from handful.backbones import catalogue, load_backbone
from handful.core import BackboneError, MissingExtraError


def test_the_default_is_listed_first_and_is_here() -> None:
    first = next(iter(catalogue()))
    assert (first.name, first.size, first.dim, first.here) == (
        "efficientnet_lite0",
        224,
        1280,
        True,
    )
    assert {"name", "size", "dim", "licence", "pretrained_on", "here", "note"} == set(
        first.as_dict()
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("efficientnet_lite", r"did you mean 'efficientnet_lite0'\?"),
        (
            "timm:",
            "Write 'efficientnet_lite0', 'timm:NAME', 'clip:NAME', 'onnx:FILE' or the folder",
        ),
        ("onnx:nowhere.onnx", "No such file: 'nowhere.onnx'"),
    ],
)
def test_an_unknown_name_says_what_to_write(name: str, message: str) -> None:
    with pytest.raises(BackboneError, match=message):
        load_backbone(name)


def test_weights_go_with_timm_alone() -> None:
    with pytest.raises(BackboneError, match="--weights goes with a timm or a clip model"):
        load_backbone(weights=Path("x.safetensors"))


def test_without_timm_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'handful\[train\]'"):
        load_backbone("timm:resnet10t")


def test_a_number_out_of_range_is_the_users_error() -> None:
    with pytest.raises(BackboneError, match="'tiles' of a Preprocess"):
        load_backbone(preprocess={"tiles": 0})
