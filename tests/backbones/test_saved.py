from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handful.backbones import is_saved, load_backbone, load_saved, packaged, save_backbone
from handful.core import BackboneError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    backbone = packaged({"size": 32})
    backbone.spec = replace(
        backbone.spec, name="lite0+finetune", saw_labels_of=frozenset({"b", "a"})
    )
    save_backbone(backbone, tmp_path / "run")
    return tmp_path / "run"


def test_a_saved_backbone_comes_back(folder: Path) -> None:
    assert is_saved(folder)
    backbone, original = load_saved(folder), packaged({"size": 32})
    assert backbone.spec.name == "lite0+finetune"
    assert backbone.spec.saw_labels_of == {"a", "b"}
    assert backbone.spec.fingerprint == original.spec.fingerprint
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(backbone.embed(images), original.embed(images))
    assert load_backbone(str(folder)).spec == backbone.spec


def test_a_damaged_one_is_refused(folder: Path) -> None:
    graph, record = folder / "backbone.onnx", folder / "backbone.json"
    graph.write_bytes(packaged({"size": 64}).model.SerializeToString())
    with pytest.raises(BackboneError):
        load_saved(folder)
    record.write_text("{}")
    with pytest.raises(BackboneError, match="damaged"):
        load_saved(folder)
    record.unlink()
    assert not is_saved(folder)
    with pytest.raises(BackboneError, match="No backbone"):
        load_backbone(str(folder))
