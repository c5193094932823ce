"""With the train extra: randomly initialised small timm models saved to disk and loaded by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handful.backbones import load_backbone
from handful.core import BackboneError

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
timm = pytest.importorskip("timm", reason="needs the extra 'train'")
pytest.importorskip("onnxscript", reason="needs the extra 'train'")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_vit").state_dict(), path)
    return path


def test_a_timm_model_equals_torch(weights: Path) -> None:
    from safetensors.torch import load_file

    backbone = load_backbone("timm:test_vit", weights=weights)
    model = timm.create_model("test_vit")
    model.load_state_dict(load_file(weights))
    model.reset_classifier(0)
    config = model.pretrained_cfg
    side = config["input_size"][-1]
    assert backbone.spec.preprocess.side == side
    images = np.random.default_rng(1).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(config[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        expected = model.eval()((x - mean) / std).numpy()
    np.testing.assert_allclose(backbone.embed(images), expected, atol=1e-4)


def test_a_pth_file_is_read_without_code(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"state_dict": timm.create_model("test_vit").state_dict()}, path)
    assert load_backbone("timm:test_vit", weights=path).spec.dim == 64
    torch.save({"state_dict": print}, path)
    with pytest.raises(BackboneError, match="not a readable weights file"):
        load_backbone("timm:test_vit", weights=path)


def test_weights_of_another_model_are_refused_with_a_list(weights: Path) -> None:
    with pytest.raises(
        BackboneError, match=r"hold 0\.0 % of the parameters of 'test_efficientnet'.*blocks.0.*more"
    ):
        load_backbone("timm:test_efficientnet", weights=weights)


def test_absent_weights_are_not_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        BackboneError, match=r"not on this machine\. Give a file with --weights FILE"
    ):
        load_backbone("timm:test_vit")


def test_cached_weights_are_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from handful.backbones import catalogue

    (tmp_path / "models--timm--resnet18.a1_in1k" / "snapshots" / "0").mkdir(parents=True)
    (tmp_path / "models--timm--resnet18.a1_in1k" / "refs").mkdir()
    (tmp_path / "models--timm--resnet18.a1_in1k" / "blobs").mkdir()
    monkeypatch.setattr("huggingface_hub.utils._cache_manager.HF_HUB_CACHE", str(tmp_path))
    (entry,) = [entry for entry in catalogue() if entry.name.startswith("timm:resnet18")]
    assert (entry.size, entry.licence, entry.pretrained_on, entry.here) == (
        224,
        "apache-2.0",
        "a1_in1k",
        True,
    )


def test_an_unknown_timm_name_is_suggested() -> None:
    with pytest.raises(BackboneError, match="did you mean"):
        load_backbone("timm:resnet500")
