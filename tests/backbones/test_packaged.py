from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handful.backbones import Backbone, packaged, packaged_classifier
from handful.backbones.cache import cache_folder
from handful.backbones.efficientnet_lite import efficientnet_lite0, parameter_names
from handful.backbones.packaged import weights_file
from handful.backbones.state_dict import read_state_dict
from handful.core import BackboneError


def ramp(side: int = 224) -> np.ndarray:
    """Return one image of colour ramps."""
    x = np.arange(side, dtype=np.float32) / (side - 1) * 255
    image = np.stack(np.broadcast_arrays(x[:, None], x[None], (x[:, None] + x[None]) / 2), axis=-1)
    return image.round().astype(np.uint8)[None]


def test_the_vector_that_timm_gives() -> None:
    """By timm 1.0.31's tf_efficientnet_lite0 with these weights, torch 2.14.1: the six largest numbers and the sum."""
    vector = packaged().embed(ramp())[0]
    largest = np.argsort(-vector)[:6]
    assert largest.tolist() == [897, 113, 755, 1006, 930, 689]
    np.testing.assert_allclose(
        vector[largest], [5.24922, 4.47658, 3.09437, 3.0699, 2.82044, 2.79315], atol=1e-4
    )
    assert vector.sum() == pytest.approx(100.67981, abs=1e-2)


def test_is_a_backbone_with_a_record() -> None:
    backbone = packaged()
    assert isinstance(backbone, Backbone)
    assert backbone.spec.dim == 1280
    assert backbone.spec.licence == "Apache-2.0"
    assert len(backbone.spec.fingerprint) == 32
    assert packaged_classifier().weight.shape == (1000, 1280)


def test_one_fingerprint_for_the_same_and_another_for_other_preprocessing() -> None:
    assert packaged().spec.fingerprint == packaged().spec.fingerprint
    others = [
        packaged({"size": 192}),
        packaged({"crop_pct": 0.875}),
        packaged({"white": 4095}),
        packaged({"tiles": 2, "size": 64}),
    ]
    assert len({packaged().spec.fingerprint, *(other.spec.fingerprint for other in others)}) == 5


@pytest.mark.parametrize("size", [32, 97, 128, 224])
def test_padding_follows_the_input_size(size: int) -> None:
    torch = pytest.importorskip("torch", reason="parity with timm needs torch")
    timm = pytest.importorskip("timm", reason="parity with timm needs timm")
    weights = read_state_dict(weights_file())
    model = timm.create_model("tf_efficientnet_lite0", num_classes=1000)
    names = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    ours = [value for name, value in weights.items() if not name.endswith("num_batches_tracked")]
    assert len(names) == len(ours) == 247
    model.load_state_dict(
        {name: torch.from_numpy(value) for name, value in zip(names, ours, strict=True)},
        strict=False,
    )
    model.reset_classifier(0)
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = model.eval()(
            (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128
        ).numpy()
    np.testing.assert_allclose(packaged({"size": size}).embed(images), expected, atol=2e-5)


def test_vectors_do_not_depend_on_the_rest_of_the_batch() -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    backbone = packaged({"size": 64})
    whole = backbone.embed(images)
    images[1:] = 0
    np.testing.assert_array_equal(backbone.embed(images)[0], whole[0])


def test_missing_tensors_are_listed() -> None:
    weights = {name: np.zeros(1, np.float32) for name in parameter_names()[7:]}
    with pytest.raises(
        BackboneError, match=r"lack 7 of the 247 tensors.*_conv_stem.weight.*… 2 more"
    ):
        efficientnet_lite0(weights)


def test_a_damaged_cache_is_built_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDFUL_CACHE", str(tmp_path))
    expected = packaged({"size": 64}).spec.fingerprint
    (built,) = cache_folder().glob("*.onnx")
    built.write_bytes(built.read_bytes()[:1000])
    assert packaged({"size": 64}).spec.fingerprint == expected


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HANDFUL_CACHE", str(tmp_path / "file" / "below"))
    assert packaged({"size": 32}).spec.dim == 1280
