"""The text tower of an open_clip model: needed while a classifier is made, never afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handful.backbones.clip import clip_module
from handful.backbones.clip_files import ClipFiles, find_clip, open_clip
from handful.core import BackboneError, Float32, MissingExtraError

_BLOCK = 64  # texts encoded at once


class ClipText:
    """A text encoder whose vectors lie in the space of its image tower's.

    Parameters
    ----------
    files : ClipFiles

    Attributes
    ----------
    name : str
    tokenizer : ClipTokenizer
    logit_scale : float
        Multiplies cosines, above 0.
    logit_bias : float or None
        SigLIP's: added after scaling, before a sigmoid. None for CLIP, which has a softmax.

    Raises
    ------
    BackboneError
        If weights or tokenizer do not fit or are not here.
    """

    def __init__(self, files: ClipFiles) -> None:
        self.name = files.name
        self.tokenizer = ClipTokenizer(files)
        self._model = clip_module(files)
        self.logit_scale = float(self._model.logit_scale.detach().exp())
        bias = self._model.logit_bias
        self.logit_bias = None if bias is None else float(bias.detach())
        if not np.isfinite(self.logit_scale):
            raise BackboneError(
                f"The logit scale of {files.name!r} is not a number: the weights are damaged."
            )

    def embed_text(self, texts: Sequence[str]) -> Float32:
        """Return the vectors of texts, unit length, of shape (n, dim), float32.

        Raises
        ------
        BackboneError
            If a text is longer than the model reads: what is past that would not count.
        """
        import torch

        for text in texts:
            self.tokenizer.refuse_long(text)
        with torch.inference_mode():
            blocks = [
                self._model.encode_text(
                    self.tokenizer(texts[start : start + _BLOCK]), normalize=True
                )
                for start in range(0, len(texts), _BLOCK)
            ]
        return torch.cat(blocks).float().numpy()


class ClipTokenizer:
    """How a model cuts texts: CLIP's byte pairs, or the tokenizer its configuration names.

    Parameters
    ----------
    files : ClipFiles

    Raises
    ------
    BackboneError
        If a tokenizer is named that is not beside the weights nor in the hub's cache.
    """

    def __init__(self, files: ClipFiles) -> None:
        library = open_clip()
        config = dict(files.config.get("text_cfg", {}))
        self.length = int(config.get("context_length", 77))
        own = dict(config.get("tokenizer_kwargs", {}))
        named = config.get("hf_tokenizer_name")
        if not named:
            self._tokenizer = library.SimpleTokenizer(context_length=self.length, **own)
            return
        folder = files.weights.parent
        is_beside = (folder / "tokenizer.json").is_file() or (
            folder / "tokenizer_config.json"
        ).is_file()
        try:
            self._tokenizer = library.tokenizer.HFTokenizer(
                str(folder) if is_beside else named, context_length=self.length,
                tokenizer_mode=config.get("tokenizer_mode"), **own,
                local_files_only=is_beside or not files.may_download,
            )  # fmt: skip
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"The tokenizer of {files.name!r}", "transformers", "clip"
            ) from error
        except Exception as error:  # transformers raises types of its own
            raise BackboneError(
                f"The tokenizer {named!r} of {files.name!r} cannot be loaded: {str(error).splitlines()[0]} Put its "
                "tokenizer.json beside the weights, or allow a download with --download."
            ) from error

    def __call__(self, texts: Sequence[str]) -> Any:
        """Return the tokens of texts, int64 tensor of shape (n, length)."""
        return self._tokenizer(list(texts))

    def encode(self, text: str) -> list[int]:
        """Return the numbers of the pieces between a mark of start and one of end, not cut off."""
        if not self._is_named:
            return [
                self._tokenizer.sot_token_id,
                *self._tokenizer.encode(text),
                self._tokenizer.eot_token_id,
            ]
        pieces = self._tokenizer.tokenizer(self._tokenizer.clean_fn(text), add_special_tokens=False)
        return [0, *pieces["input_ids"], 0]

    def unknown_words(self, text: str) -> list[str]:
        """Return the words it has no pieces for; byte pairs have pieces for every word."""
        if not self._is_named:
            return []
        unknown = self._tokenizer.tokenizer.unk_token_id
        return [
            word
            for word in text.split()
            if unknown is not None and unknown in self.encode(word)[1:-1]
        ]

    def refuse_long(self, text: str) -> None:
        """Raise BackboneError where a text has more pieces than the model reads."""
        n = len(self.encode(text))
        if n > self.length:
            raise BackboneError(
                f"The text {text[:40]!r}… has {n - 2} pieces of words, and this text encoder reads at most "
                f"{self.length - 2}. Shorten it."
            )

    @property
    def _is_named(self) -> bool:
        return hasattr(self._tokenizer, "tokenizer")


def load_clip_text(name: str, *, weights: Path | None = None, download: bool = False) -> ClipText:
    """Return the text encoder of an image-text model; parameters and errors as of `load_clip`."""
    return ClipText(find_clip(name, weights=weights, download=download))
