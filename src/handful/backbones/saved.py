"""An adapted backbone on disk: its graph and its record, in the folder of the run that made it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from handful.backbones.onnx import OnnxBackbone
from handful.backbones.onnx_files import parse_onnx
from handful.backbones.protocol import BackboneSpec
from handful.core import BackboneError, write_atomically
from handful.images import Preprocess

GRAPH, RECORD = "backbone.onnx", "backbone.json"


def save_backbone(backbone: OnnxBackbone, folder: Path) -> None:
    """Write a backbone, the graph first: a folder with a record is complete."""
    spec = backbone.spec
    record = {
        "name": spec.name,
        "fingerprint": spec.fingerprint,
        "preprocess": spec.preprocess.to_dict(),
        "licence": spec.licence,
        "pretrained_on": spec.pretrained_on,
        "saw_labels_of": sorted(spec.saw_labels_of),
    }
    write_atomically(folder / GRAPH, backbone.model.SerializeToString())
    write_atomically(folder / RECORD, json.dumps(record, indent=1, ensure_ascii=False).encode())


def is_saved(folder: Path) -> bool:
    """Return whether the folder holds a complete backbone."""
    return (folder / RECORD).is_file() and (folder / GRAPH).is_file()


def load_saved(folder: Path, preprocess: dict[str, Any] | None = None) -> OnnxBackbone:
    """Return the backbone in a run's folder.

    Parameters
    ----------
    folder : Path
    preprocess : dict, optional
        Fields of `Preprocess` that replace its own.

    Raises
    ------
    BackboneError
        If it is damaged or is to be run at tiles it was not exported for.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        settings = Preprocess.from_dict({**record["preprocess"], **(preprocess or {})})
        model = parse_onnx((folder / GRAPH).read_bytes(), str(folder / GRAPH))
        spec = BackboneSpec(
            record["name"], "", settings, 0, record["licence"], record["pretrained_on"],
            frozenset(record["saw_labels_of"]),
        )  # fmt: skip
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise BackboneError(f"The run in {str(folder)!r} is damaged: {error}.") from error
    try:
        backbone = OnnxBackbone(model, spec)
    except BackboneError:
        raise
    except Exception as error:  # ONNX Runtime raises types of its own
        raise BackboneError(
            f"The graph in {str(folder)!r} does not run on images of {settings.side} px: {str(error).splitlines()[0]}"
        ) from error
    if preprocess in (None, {}) and backbone.spec.fingerprint != record["fingerprint"]:
        raise BackboneError(f"The graph in {str(folder)!r} is not the one that was written there.")
    return backbone
