"""The choice of a backbone and its preprocessing, as a person gives it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.backbones import DEFAULT, OnnxBackbone, is_saved, load_backbone, packaged_text
from handful.core import BackboneError, Float32

if TYPE_CHECKING:
    from handful.backbones import ClipText, MiniLM

RUN_RECORD = "adapt.json"  # in the folder of a run of `handful adapt`
_PAIR = "open_clip"  # in the folder of a run of `handful adapt contrastive-text`


@dataclass(frozen=True)
class FrozenText:
    """The packaged text encoder, and the scale that an image tower learnt to meet it by."""

    encoder: MiniLM
    logit_scale: float
    logit_bias: float | None

    @property
    def name(self) -> str:
        """The encoder's."""
        return self.encoder.name

    @property
    def tokenizer(self) -> Any:
        """The encoder's."""
        return self.encoder.tokenizer

    def embed_text(self, texts: Sequence[str]) -> Float32:
        """Return unit vectors of texts."""
        return self.encoder.embed_text(texts)


def _is_frozen(record: Path) -> bool:
    """Return whether this is the record of a run whose text encoder was frozen."""
    facts = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    return facts.get("settings", {}).get("frozen_text") == "True" and "logit_scale" in facts


def _frozen_text(record: Path) -> FrozenText | None:
    """Return the text side of a run whose text encoder was frozen, None of any other."""
    if not _is_frozen(record):
        return None
    facts = json.loads(record.read_text(encoding="utf-8"))
    return FrozenText(packaged_text(), facts["logit_scale"], facts["logit_bias"])


@dataclass(frozen=True)
class BackboneChoice:
    """Which backbone to use and what to change of its preprocessing.

    Parameters
    ----------
    name : str, default="efficientnet_lite0"
        A name of `handful backbones`, or the folder of a run of `handful adapt`.
    weights : Path, optional
        A weights file for a timm or clip model.
    download : bool, default=False
        Whether missing weights may be fetched.
    size : int, optional
        Input side in pixels; the weights' own by default.
    crop : tuple of 4 floats, optional
        Left, top, right, bottom of the part to look at, as fractions of the
        upright image.
    tiles : int, default=1
        Look at ``tiles`` × ``tiles`` squares of each image, for small defects.
    """

    name: str = DEFAULT
    weights: Path | None = None
    download: bool = False
    size: int | None = None
    crop: tuple[float, float, float, float] | None = None
    tiles: int = 1

    def load(self, white: int | None = None) -> OnnxBackbone:
        """Return the backbone, for a data set whose 16-bit white is ``white``.

        Raises
        ------
        BackboneError
            If it cannot be loaded or a number is out of range.
        """
        self._refuse_refused()
        changes: dict[str, Any] = {
            "tiles": self.tiles,
            "size": self.size,
            "crop": self.crop,
            "white": white,
        }
        return load_backbone(
            self.name,
            weights=self.weights,
            download=self.download,
            preprocess={key: value for key, value in changes.items() if value is not None},
        )

    def text_encoder(self) -> ClipText | FrozenText | None:
        """Return the text tower of an image-text model, None for a backbone of images alone.

        A run of `handful adapt contrastive-text` has its own, or the packaged one that it kept as it was.

        Raises
        ------
        BackboneError
            As of `load`.
        """
        name = self._pair
        if name is None:
            return _frozen_text(Path(self.name) / RUN_RECORD)
        from handful.backbones import load_clip_text

        return load_clip_text(name, weights=self.weights, download=self.download)

    @property
    def reads_text(self) -> bool:
        """Whether there is a `text_encoder`, and vectors of images that it goes with."""
        has = self._pair is not None or _is_frozen(Path(self.name) / RUN_RECORD)
        return has and self.tiles == 1

    @property
    def _pair(self) -> str | None:
        """What `load_clip_text` takes, None for a backbone without a text tower of its own."""
        family, _, rest = self.name.partition(":")
        pair = Path(self.name) / _PAIR
        return str(pair) if pair.is_dir() else rest if family == "clip" and rest else None

    def _refuse_refused(self) -> None:
        """Say why a run of `handful adapt` holds no backbone."""
        record = Path(self.name) / RUN_RECORD
        if is_saved(Path(self.name)) or not record.is_file():
            return
        verdict = json.loads(record.read_text(encoding="utf-8")).get("sentence", "")
        raise BackboneError(
            f"The run {self.name!r} holds no backbone. {verdict} To use it all the same, give the command "
            "that made it again with --anyway."
        )
