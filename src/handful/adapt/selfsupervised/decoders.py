"""From what is visible to hidden pixels: the two decoders of masked prediction."""

from __future__ import annotations

import math

import torch
from timm.layers import build_sincos2d_pos_embed
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from handful.adapt.chain import TokenPool

_PATCHES = 8  # a side, of an image for a network of convolutions


class TokenDecoder(nn.Module):
    """MAE: only the visible patches pass the encoder; the squared error of normalised patches."""

    def __init__(
        self,
        chain: nn.Sequential,
        shape: torch.Size,
        size: int,
        ratio: float,
        depth: int,
        width: int,
    ) -> None:
        super().__init__()
        n_tokens, dim = shape
        side = math.isqrt(n_tokens - getattr(chain[0], "n_first", 0))
        self.n_first, self.side, self.patch = n_tokens - side * side, side, size // side
        if self.patch * side != size or side < 2:
            raise ValueError(
                f"Views of {size} px cannot be cut into {side} × {side} equal patches, at least 2 × 2. "
                "Train at a multiple of the transformer's patch."
            )
        self.n_kept = min(max(1, round((1 - ratio) * side * side)), side * side - 1)
        self.embed, self.mask = nn.Linear(dim, width), nn.Parameter(0.02 * torch.randn(width))
        positions = build_sincos2d_pos_embed([side, side], dim=width)
        self.register_buffer("positions", positions, persistent=False)
        self.blocks = nn.Sequential(*(Block(width, 4, qkv_bias=True) for _ in range(depth)))
        self.norm, self.predict = nn.LayerNorm(width), nn.Linear(width, 3 * self.patch**2)

    def forward(self, chain: nn.Sequential, images: Tensor) -> Tensor:
        """Return the mean squared error over hidden patches."""
        tokens = chain[0](images)
        first, patches = tokens[:, : self.n_first], tokens[:, self.n_first :]
        kept = torch.rand(patches.shape[:2], device=images.device).argsort(dim=1)[:, : self.n_kept]
        visible = patches.gather(1, kept[..., None].expand(-1, -1, patches.shape[2]))
        encoded = chain[1:-1](torch.cat([first, visible], dim=1))
        if isinstance(chain[-1], TokenPool):
            encoded = chain[-1].fc_norm(chain[-1].norm(encoded))
        hidden = torch.ones(patches.shape[:2], device=images.device).scatter(1, kept, 0.0)
        error = (self._decoded(encoded, kept) - self._target(images)).square().mean(dim=2)
        return (error * hidden).sum() / hidden.sum()

    def _decoded(self, encoded: Tensor, kept: Tensor) -> Tensor:
        x = self.embed(encoded)
        places = kept[..., None].expand(-1, -1, x.shape[2])
        masks = self.mask.to(x.dtype).expand(len(x), self.side**2, -1)
        full = masks.scatter(1, places, x[:, self.n_first :]) + self.positions.to(x.dtype)
        decoded = self.blocks(torch.cat([x[:, : self.n_first], full], dim=1))
        return self.predict(self.norm(decoded[:, self.n_first :])).float()

    def _target(self, images: Tensor) -> Tensor:
        cells = images.float().reshape(len(images), 3, self.side, self.patch, self.side, self.patch)
        patches = cells.permute(0, 2, 4, 3, 5, 1).reshape(len(images), self.side**2, -1)
        variance, mean = torch.var_mean(patches, dim=2, keepdim=True)
        return (patches - mean) / (variance + 1e-6).sqrt()


class MapDecoder(nn.Module):
    """SimMIM: hidden patches are one learnt colour in the image; their absolute error."""

    def __init__(self, shape: torch.Size, size: int, ratio: float, patch: int | None) -> None:
        super().__init__()
        self.size, self.patch = size, max(1, size // _PATCHES) if patch is None else patch
        if not 1 <= self.patch < size:
            raise ValueError(f"The 'patch' of Masked must be in [1, {size - 1}]. Got {patch!r}.")
        self.side = math.ceil(size / self.patch)
        self.n_hidden = min(max(1, round(ratio * self.side**2)), self.side**2 - 1)
        self.colour = nn.Parameter(torch.zeros(3))
        enlarged = math.ceil(size / min(shape[1:]))
        self.predict = nn.Sequential(
            nn.Conv2d(shape[0], 3 * enlarged**2, 1), nn.PixelShuffle(enlarged)
        )

    def forward(self, chain: nn.Sequential, images: Tensor) -> Tensor:
        """Return the mean absolute error over hidden pixels, in units of the normalised image."""
        hidden = self._hidden(images)
        x = torch.where(hidden, self.colour.to(images.dtype).reshape(1, 3, 1, 1), images)
        predicted = self.predict(chain[:-1](x))[:, :, : self.size, : self.size].float()
        return ((predicted - images).abs() * hidden).sum() / (3 * hidden.sum())

    def _hidden(self, images: Tensor) -> Tensor:
        """Return which pixels are hidden, bool [n, 1, size, size]."""
        rank = torch.rand(len(images), self.side**2, device=images.device).argsort(1).argsort(1)
        cells = (rank < self.n_hidden).reshape(-1, 1, self.side, self.side)
        pixels = cells.repeat_interleave(self.patch, 2).repeat_interleave(self.patch, 3)
        return pixels[:, :, : self.size, : self.size]
