"""The image tower of any open_clip model, exported to ONNX once and kept in the user's cache.

Sources: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML
2021, https://arxiv.org/abs/2103.00020; Zhai et al., "Sigmoid Loss for Language Image Pre-Training",
ICCV 2023, https://arxiv.org/abs/2303.15343. The architectures are open_clip's own.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.backbones.cache import kept_graph
from handful.backbones.clip_files import ClipFiles, find_clip, open_clip
from handful.backbones.export import from_torch
from handful.backbones.onnx import OnnxBackbone
from handful.backbones.protocol import BackboneSpec
from handful.backbones.saved import is_saved, load_saved
from handful.backbones.timm import read_weights
from handful.core import BackboneError, listed
from handful.images import Preprocess

if TYPE_CHECKING:
    from torch import nn

_BUILD = "1"  # raise it when the same weights would give another graph
_BUFFERS = (
    "position_ids",
    "attn_mask",
    "num_batches_tracked",
)  # of some checkpoints, no parameters


def load_clip(
    name: str,
    *,
    weights: Path | None = None,
    download: bool = False,
    preprocess: dict[str, Any] | None = None,
) -> OnnxBackbone:
    """Return the image tower of an image-text model as a backbone of unit vectors.

    Parameters
    ----------
    name : str
        ``NAME`` or ``NAME.TAG`` of open_clip, or a folder with ``open_clip_config.json``.
    weights : Path, optional
        A weights file; else those of the folder, or those of the tag in the hub's cache.
    download : bool, default=False
        Fetch missing weights: the only way to the network.
    preprocess : dict, optional
        Fields of `Preprocess` that replace the model's own; its size is bound to the weights.

    Raises
    ------
    BackboneError
        If the model or its weights are not known, the weights are of another architecture, or
        SigLIP's are given to a CLIP model.
    MissingExtraError
        If open_clip is not installed.
    """
    if is_saved(Path(name).parent) and Path(name).is_dir():  # ours: it knows what it saw
        return load_saved(Path(name).parent, preprocess)
    files = find_clip(name, weights=weights, download=download)
    settings = preprocess_of_clip(files, preprocess)
    mean, std = files.preprocess["mean"], files.preprocess["std"]

    def build() -> Any:
        plain = Preprocess(size=files.size)
        return from_torch(
            image_tower(clip_module(files)), plain, mean=mean, std=std, name=files.name
        ).model

    model = kept_graph("clip", _key(files), build)
    spec = BackboneSpec(f"clip:{name}", "", settings, 0, "unknown", files.pretrained_on)
    return OnnxBackbone(model, spec)


def preprocess_of_clip(files: ClipFiles, overrides: dict[str, Any] | None = None) -> Preprocess:
    """Return how images are prepared, some fields replaced; BackboneError for another size."""
    found = files.preprocess
    settings = Preprocess.from_dict({
        "size": files.size, "crop_pct": 1.0, "interpolation": found["interpolation"],
        "resize": found["resize_mode"], **(overrides or {}),
    })  # fmt: skip
    if settings.size != files.size:
        raise BackboneError(
            f"{files.name!r} takes images of {files.size} px only, not of {settings.size} px. Leave out --size."
        )
    return settings


def clip_module(files: ClipFiles) -> Any:
    """Return the model of open_clip with its weights, on the CPU and in evaluation mode.

    Raises
    ------
    BackboneError
        If a parameter is missing, of another shape, or there is one that the model has not.
    """
    model = _architecture(files)
    fill_clip(model, read_weights(files.weights), files)
    return model.eval()


def _architecture(files: ClipFiles) -> Any:
    """Return the model without weights; neither tower fetches any of its own."""
    library = open_clip()
    config = json.loads(json.dumps(files.config))
    if "timm_model_name" in config["vision_cfg"]:
        config["vision_cfg"]["timm_model_pretrained"] = False
    text = config.get("text_cfg", {})
    if "hf_model_name" in text:
        text |= {
            "hf_model_pretrained": False,
            "hf_model_name": _local(text["hf_model_name"], files),
        }
    is_custom = config.pop("custom_text", False) or "hf_model_name" in text
    kind = library.CustomTextCLIP if is_custom else library.CLIP
    try:
        return (library.CoCa if "multimodal_cfg" in config else kind)(**config)
    except Exception as error:  # a configuration may be wrong in any way
        raise BackboneError(
            f"The model {files.name!r} cannot be built from its configuration: {str(error).splitlines()[0]}"
        ) from error


def _local(name: str, files: ClipFiles) -> str:
    """Return where the configuration of a text tower lies; its name, where it may be fetched."""
    from huggingface_hub import try_to_load_from_cache

    found = name if Path(name).is_dir() else try_to_load_from_cache(name, "config.json")
    if not isinstance(found, str) and not files.may_download:
        raise BackboneError(
            f"The text tower of {files.name!r} is {name!r}, whose configuration is not on this machine. Allow a "
            "download with --download."
        )
    if not isinstance(found, str):
        return name
    return found if Path(found).is_dir() else str(Path(found).parent)


def fill_clip(model: Any, weights: dict[str, Any], files: ClipFiles) -> None:
    """Load weights into a model, refused unless every parameter fits."""
    state = _as_open_clip(model, weights)
    own = model.state_dict()
    _refuse_other_loss("logit_bias" in own, "logit_bias" in state, files)
    problems = {
        "missing": sorted(set(own) - set(state)),
        "of another shape": sorted(
            key for key in set(own) & set(state) if own[key].shape != state[key].shape
        ),
        "unknown to it": sorted(set(state) - set(own)),
    }
    found = {what: [k for k in keys if not k.endswith(_BUFFERS)] for what, keys in problems.items()}
    if any(found.values()):
        said = "; ".join(
            f"{len(keys)} {what} ({listed(keys, most=3)})" for what, keys in found.items() if keys
        )
        raise BackboneError(
            f"The weights in {files.weights.name!r} are not of {files.name!r}: {said}. Give the weights of this very "
            "model, or name the model that they are of."
        )
    model.load_state_dict({key: state[key] for key in state if key in own}, strict=False)


def _as_open_clip(model: Any, weights: dict[str, Any]) -> dict[str, Any]:
    """Return weights under open_clip's names of today."""
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    state = {key.removeprefix("module."): value for key, value in weights.items()}
    state = convert_state_dict(model, state)
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    own = model.state_dict()
    for key in ("logit_scale", "logit_bias"):
        if key in state and key in own and state[key].numel() == 1:
            state[key] = state[key].reshape(own[key].shape)
    return state


def _refuse_other_loss(has_bias: bool, is_given: bool, files: ClipFiles) -> None:
    """Tell SigLIP and CLIP apart by the bias that SigLIP alone has."""
    if is_given and not has_bias:
        raise BackboneError(
            f"The weights in {files.weights.name!r} are SigLIP's (they have a logit bias), and {files.name!r} is a "
            "CLIP model. Name the SigLIP model that they are of, such as 'clip:ViT-B-16-SigLIP'."
        )
    if has_bias and not is_given:
        raise BackboneError(
            f"{files.name!r} is a SigLIP model, and the weights in {files.weights.name!r} lack its logit bias. Name "
            "the CLIP model that they are of, such as 'clip:ViT-B-32'."
        )


def _key(files: ClipFiles) -> str:
    """Return the digest of all that the graph depends on."""
    facts = [_BUILD, files.config["vision_cfg"], files.config.get("quick_gelu"), files.config["embed_dim"],
             files.preprocess["mean"], files.preprocess["std"]]  # fmt: skip
    digest = hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16)
    with files.weights.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def image_tower(model: Any) -> nn.Module:
    """Return the image tower of a model of open_clip, giving unit vectors."""
    from torch import nn

    class Images(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = model.visual

        def forward(self, x: Any) -> Any:
            found = self.visual(x)
            vectors = found[0] if isinstance(found, tuple) else found  # CoCa gives its tokens too
            return nn.functional.normalize(vectors, dim=-1)

    return Images()
