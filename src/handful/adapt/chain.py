"""A network as a chain of blocks: what transfer learning freezes, cuts, unfreezes and caches.

Each family of timm is taken apart into the blocks its paper names (residual
blocks, inverted residuals, transformer layers); nothing is copied, the chain
holds the model's own modules.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from timm.layers import resample_abs_pos_embed
from timm.models import convnext, efficientnet, group_parameters, mobilenetv3, resnet
from timm.models import vision_transformer as vit
from torch import Tensor, nn

from handful.core import BackboneError

FAMILIES = (
    "EfficientNet, MobileNetV2 and V3, ResNet, ConvNeXt and VisionTransformer of timm, and any "
    "torch.nn.Sequential whose last module pools"
)
TOLERANCE = 1e-5  # of the largest value


def as_chain(model: nn.Module, *, size: int | None = None) -> nn.Sequential:
    """Return the model without its classifier as a chain of blocks that shares its modules.

    The first element is the stem, the last one pools. The last one holds no
    weights, except where the family has layers after its pooling (MobileNetV3's
    head, the norm of ConvNeXt) or a norm just before it (VisionTransformer).

    Parameters
    ----------
    model : torch.nn.Module
        A timm model of a known family, or a ``torch.nn.Sequential`` from
        images to vectors, which is returned as it is.
    size : int, optional
        Side in pixels of the images that the check uses. Default: what the
        model demands, else 64.

    Returns
    -------
    torch.nn.Sequential
        float32 [n, 3, size, size] to float32 [n, dim].

    Raises
    ------
    BackboneError
        If the family is unknown, or the chain gives other vectors than the
        model (by over 1e-5 of the largest value, on random images).
    """
    chain = _split(model)
    images = torch.randn(
        2, 3, *[size or _side(model)] * 2, generator=torch.Generator().manual_seed(0)
    ).to(next(model.parameters()).device)
    with evaluation(model), evaluation(chain), torch.no_grad():
        got = chain(images)
        expected = got if chain is model else _vectors(model, images)
    if got.ndim != 2:
        raise BackboneError(
            f"A chain must end in one vector an image. {type(model).__name__} gives the shape "
            f"{tuple(got.shape[1:])}: let its last module pool and flatten."
        )
    if got.shape != expected.shape or not _equal(got, expected):
        raise BackboneError(
            f"This {type(model).__name__} computes something that its blocks in a chain do not. "
            f"Supported: {FAMILIES}."
        )
    return chain


def layers_of(model: nn.Module, chain: nn.Sequential) -> tuple[int, ...]:
    """Return the layer number of each block, 0 nearest the input.

    They are those of timm's ``group_matcher`` where the model has one, else the
    block's place in the chain. A block without weights has its predecessor's.
    """
    if not hasattr(model, "group_matcher"):
        return tuple(range(len(chain)))
    ids = group_parameters(model, model.group_matcher(coarse=False), reverse=True)
    of = {id(parameter): ids[name] for name, parameter in model.named_parameters()}
    layers = [0]
    for block in chain:
        layers.append(max((of[id(p)] for p in block.parameters()), default=layers[-1]))
    return tuple(layers[1:])


@contextmanager
def evaluation(module: nn.Module) -> Iterator[None]:
    """Put every submodule into evaluation mode, and each back into its own mode at the end."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


class TokenStem(nn.Module):
    """The part of a VisionTransformer before its blocks: image to tokens.

    Patches, class and register tokens, positions. It holds the model's own
    parameters under their names in the model.
    """

    def __init__(self, model: vit.VisionTransformer) -> None:
        super().__init__()
        self.patch_embed, self.pos_drop = model.patch_embed, model.pos_drop
        self.patch_drop, self.norm_pre = model.patch_drop, model.norm_pre
        self.cls_token, self.reg_token = model.cls_token, model.reg_token
        self.pos_embed, self.no_embed_class = model.pos_embed, model.no_embed_class
        self.n_first = sum(t.shape[1] for t in (self.cls_token, self.reg_token) if t is not None)

    def forward(self, images: Tensor) -> Tensor:
        """Return the tokens [n, t, d] of images [n, 3, s, s]."""
        tokens = self.patch_embed(images)
        grid = self.patch_embed.grid_size
        if tokens.ndim == 4:  # a model of dynamic size leaves the patches in their places
            grid, tokens = tokens.shape[1:3], tokens.flatten(1, 2)
        first = [
            token.expand(len(tokens), -1, -1)
            for token in (self.cls_token, self.reg_token)
            if token is not None
        ]
        if self.pos_embed is None:
            tokens = torch.cat([*first, tokens], dim=1)
        elif self.no_embed_class:
            tokens = torch.cat([*first, tokens + self._positions(grid)], dim=1)
        else:
            tokens = torch.cat([*first, tokens], dim=1) + self._positions(grid)
        return self.norm_pre(self.patch_drop(self.pos_drop(tokens)))

    def _positions(self, grid: Sequence[int], before: Sequence[int] | None = None) -> Tensor:
        before = before or self.patch_embed.grid_size
        if tuple(grid) == tuple(before):
            return self.pos_embed
        return resample_abs_pos_embed(
            self.pos_embed, new_size=list(grid), old_size=list(before),
            num_prefix_tokens=0 if self.no_embed_class else self.n_first,
        )  # fmt: skip

    def set_input_size(self, img_size: int) -> None:
        """Take images of ``img_size`` pixels from now on; the positions are resampled."""
        before = self.patch_embed.grid_size
        self.patch_embed.set_input_size(img_size=img_size)
        if self.pos_embed is not None:
            positions = self._positions(self.patch_embed.grid_size, before).detach()
            self.pos_embed = nn.Parameter(positions, requires_grad=self.pos_embed.requires_grad)


class TokenPool(nn.Module):
    """The part of a VisionTransformer after its blocks: norm, then the class token or the mean."""

    def __init__(self, model: vit.VisionTransformer) -> None:
        super().__init__()
        self.norm, self.fc_norm = model.norm, model.fc_norm
        self.kind, self.prefix = model.global_pool, model.num_prefix_tokens

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the vectors [n, d] of tokens [n, t, d]."""
        tokens = self.norm(tokens)
        pooled = tokens[:, 0] if self.kind == "token" else tokens[:, self.prefix :].mean(dim=1)
        return self.fc_norm(pooled)


def _efficientnet(model: efficientnet.EfficientNet) -> list[nn.Module]:
    blocks = [block for stage in model.blocks for block in stage]
    head = (
        []
        if isinstance(model.conv_head, nn.Identity)
        else [_named(conv=model.conv_head, norm=model.bn2)]
    )
    return [_named(conv=model.conv_stem, norm=model.bn1), *blocks, *head, model.global_pool]


def _mobilenet(model: mobilenetv3.MobileNetV3) -> list[nn.Module]:
    head = _named(
        pool=model.global_pool, conv=model.conv_head, norm=model.norm_head, act=model.act2, flatten=model.flatten,
    )  # fmt: skip
    blocks = [block for stage in model.blocks for block in stage]
    return [_named(conv=model.conv_stem, norm=model.bn1), *blocks, head]


def _resnet(model: resnet.ResNet) -> list[nn.Module]:
    stem = _named(conv=model.conv1, norm=model.bn1, act=model.act1, pool=model.maxpool)
    stages = (model.layer1, model.layer2, model.layer3, model.layer4)
    return [stem, *(block for stage in stages for block in stage), model.global_pool]


def _convnext(model: convnext.ConvNeXt) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    for stage in model.stages:
        first, *others = stage.blocks
        blocks += [_named(downsample=stage.downsample, block=first), *others]
    model.head.reset(0)
    return [model.stem, *blocks, _named(norm_pre=model.norm_pre, head=model.head)]


def _vit(model: vit.VisionTransformer) -> list[nn.Module]:
    if model.global_pool not in ("token", "avg") or model.pool_include_prefix:
        raise BackboneError(
            f"The pooling {model.global_pool!r} of this VisionTransformer cannot be put into a "
            "chain. Take weights that pool by the class token ('token') or the mean ('avg')."
        )
    return [TokenStem(model), *model.blocks, TokenPool(model)]


_SPLITTERS: dict[type[nn.Module], Callable[[Any], list[nn.Module]]] = {
    efficientnet.EfficientNet: _efficientnet,
    mobilenetv3.MobileNetV3: _mobilenet,
    resnet.ResNet: _resnet,
    convnext.ConvNeXt: _convnext,
    vit.VisionTransformer: _vit,
}


def _split(model: nn.Module) -> nn.Sequential:
    for family, split in _SPLITTERS.items():
        if isinstance(model, family):
            return nn.Sequential(*split(model))
    if isinstance(model, nn.Sequential) and len(model) > 1:
        return model
    raise BackboneError(
        f"A {type(model).__name__} cannot be taken apart into blocks. Supported: {FAMILIES}."
    )


def _named(**modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))


def _side(model: nn.Module) -> int:
    demanded = getattr(getattr(model, "patch_embed", None), "img_size", None)
    return int(demanded[0]) if demanded else 64


def _vectors(model: nn.Module, images: Tensor) -> Tensor:
    return model.forward_head(model.forward_features(images), pre_logits=True)


def _equal(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= TOLERANCE * max(float(b.abs().max()), 1.0))
