"""A pair of towers as open_clip builds it, from a configuration that is saved beside the weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from handful.adapt.contrastive_text import START, ContrastiveText, Loss
from handful.backbones import TorchBackbone, load_module
from handful.core import AdaptError, BackboneError, MissingExtraError, listed, write_atomically

MOST_TOKENS = 77  # of a caption, the marks of start and end among them, as CLIP's
_FEWEST_TOKENS = 8
_HEAD = 64  # width of an attention head
_PACKAGED = {"efficientnet_lite0": "tf_efficientnet_lite0"}  # as timm calls it
CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"


@dataclass(frozen=True)
class Towers:
    """Two towers, or the image tower of one whose texts are vectors already.

    Parameters
    ----------
    image : nn.Module
        float32 [n, 3, s, s] to [n, dim].
    found : TorchBackbone
        Preprocessing and record of what the image tower began as.
    model : nn.Module or None
        Of open_clip, which holds both; None with frozen texts.
    config : dict
        open_clip's ``model_cfg``.
    """

    image: nn.Module
    found: TorchBackbone
    model: Any
    config: dict[str, Any]


def open_clip() -> Any:
    """Return the library, or say which extra has it."""
    try:
        import open_clip as library
    except ImportError as error:
        raise MissingExtraError("Training an image-text pair", "open_clip_torch", "clip") from error
    return library


def tokens_of(captions: Sequence[str]) -> Tensor:
    """Return CLIP's tokens of captions, int64 [n, l], as long as the longest needs.

    Raises
    ------
    AdaptError
        If one has more than 77.
    """
    tokenizer = open_clip().SimpleTokenizer()
    counts = [len(tokenizer.encode(caption)) + 2 for caption in captions]
    long = [caption[:30] + "…" for caption, n in zip(captions, counts, strict=True) if n > MOST_TOKENS]  # fmt: skip
    if long:
        raise AdaptError(
            f"{len(long)} captions have more than {MOST_TOKENS - 2} tokens: {listed(map(repr, long))}. Shorten them."
        )
    return tokenizer(list(captions), context_length=max(*counts, _FEWEST_TOKENS))


def new_towers(  # noqa: PLR0913 - what an architecture is, and where its weights are
    name: str, *, size: int, dim: int, context: int | None, loss: Loss, width: int = 128, layers: int = 2,
    weights: Path | None = None, download: bool = False, scratch: bool = False, random_state: int = 0,
) -> Towers:  # fmt: skip
    """Return an image tower of timm and, unless ``context`` is None, a small text transformer.

    Parameters
    ----------
    name : str
        ``"efficientnet_lite0"`` or ``"timm:NAME"``.
    size : int
        Side of the images in pixels.
    dim : int
        Length of the common vectors.
    context : int or None
        Tokens of a text.
    loss : {"clip", "siglip"}
    width, layers : int
        Of the text transformer; the width a multiple of 64.
    weights, download, scratch
        As in `load_network`.
    random_state : int, default=0
        Seed of the weights that are new.

    Raises
    ------
    BackboneError
        If the tower cannot be loaded or takes no such images.
    """
    library = open_clip()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        found = load_module(
            name, weights=weights, download=download, scratch=scratch, preprocess={"size": size}
        )
        timm_name = _PACKAGED.get(name, name.removeprefix("timm:"))
        vision = {"timm_model_name": timm_name, "timm_model_pretrained": False, "timm_pool": "",
                  "timm_proj": "linear", "image_size": size}  # fmt: skip
        text = {"context_length": context, "vocab_size": 49408, "width": width,
                "heads": width // _HEAD, "layers": layers}  # fmt: skip
        config = {"embed_dim": dim, "vision_cfg": vision, "text_cfg": text, "custom_text": True}
        scale, bias = START[loss]
        config |= {"init_logit_scale": scale} | ({} if bias is None else {"init_logit_bias": bias})
        if context is None:
            model, image = None, library.timm_model.TimmModel(timm_name, dim, size, pool="")
        else:
            own = {key: value for key, value in config.items() if key != "custom_text"}
            model = library.CustomTextCLIP(**own)
            image = model.visual
    try:
        image.trunk.load_state_dict(found.module.state_dict())
    except RuntimeError as error:
        raise BackboneError(
            f"{name!r} cannot be an image tower for {size} pixels. Give another --size, or another network."
        ) from error
    return Towers(image, found, model, config)


def save_pair(towers: Towers, method: ContrastiveText, folder: Path) -> None:
    """Write a trained pair so that ``open_clip.create_model_and_transforms("local-dir:FOLDER")`` loads it."""
    model, found = towers.model, towers.found
    with torch.no_grad():
        model.logit_scale.copy_(method.logit_scale)
        if method.logit_bias is not None:
            model.logit_bias.copy_(method.logit_bias)
    preprocess = {"size": found.preprocess.size, "mean": list(found.mean), "std": list(found.std),
                  "interpolation": found.preprocess.interpolation, "resize_mode": "shortest"}  # fmt: skip
    content = {"model_cfg": towers.config, "preprocess_cfg": preprocess}
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    write_atomically(folder / WEIGHTS, safetensors.torch.save(state))
    write_atomically(folder / CONFIG, json.dumps(content, indent=1).encode())
