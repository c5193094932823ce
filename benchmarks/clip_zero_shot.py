"""Zero-shot accuracy of a published image-text model, ImageNet's way: top-1 and top-5 with intervals.

    python benchmarks/clip_zero_shot.py --images VAL --backbone clip:ViT-B-32.openai --state STATE [--result NAME]
    python benchmarks/clip_zero_shot.py --images VAL --backbone clip:ViT-B-32 --weights FILE --state STATE

``--images`` is a folder of class folders. A thousand folders named by WordNet's numbers, as ImageNet's validation
images are kept, get the class names that open_clip publishes; others are spoken of by their own names.
``--templates``: OpenAI's 80 (the usual protocol), the 7 of them that OpenAI recommends, or one, "a photo of a {}.".
Vectors are kept in ``--state``: the same command goes on where it was stopped. ``--result`` writes
``results/clip_zero_shot_NAME.json``; without it the figures are printed alone.

Published figures to compare with (open_clip's docs/openclip_results.csv, 80 templates): ViT-B-32 OpenAI 63.3 %,
laion2b 66.6 %, datacomp_xl 69.2 %; ViT-B-16-SigLIP 76.0 %.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import record

from handful.backbones import ClipText
from handful.embeddings import VectorStore, embed
from handful.jobs import BackboneChoice
from handful.jobs.class_texts import ClassText
from handful.measure import share

_WORDNET = re.compile(r"n\d{8}")
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
_BLOCK = 4096


def spoken(folders: list[str]) -> list[str]:
    """Return how to speak of the classes."""
    if len(folders) == 1000 and all(map(_WORDNET.fullmatch, folders)):
        from open_clip import IMAGENET_CLASSNAMES

        return list(IMAGENET_CLASSNAMES)
    return [ClassText(name).spoken for name in folders]


def templates(which: str) -> list[Any]:
    """Return functions from a class's name to a text."""
    from open_clip import OPENAI_IMAGENET_TEMPLATES, SIMPLE_IMAGENET_TEMPLATES

    one = [lambda name: f"a photo of a {name}."]
    return {"80": OPENAI_IMAGENET_TEMPLATES, "7": SIMPLE_IMAGENET_TEMPLATES, "1": one}[which]


def class_vectors(encoder: ClipText, names: list[str], forms: list[Any]) -> np.ndarray:
    """Return the unit mean of each class's unit text vectors."""
    rows = np.stack([encoder.embed_text([form(n) for form in forms]).mean(axis=0) for n in names])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def image_vectors(images: Path, choice: BackboneChoice, state: Path) -> tuple[Any, Any, list[str]]:
    """Return vectors, class numbers and class folders; what was embedded before is not again."""
    folders = sorted(path.name for path in images.iterdir() if path.is_dir())
    paths = [(row, path) for row, name in enumerate(folders)
             for path in sorted((images / name).rglob("*")) if path.suffix.lower() in _SUFFIXES]  # fmt: skip
    if not paths:
        raise SystemExit(f"No image in a class folder of {str(images)!r}.")
    backbone = choice.load()
    store = VectorStore(state / "embeddings", backbone.spec.fingerprint, backbone.spec.dim)
    keys = [hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() for _, path in paths]
    failed = embed(store, backbone, {key: path for key, (_, path) in zip(keys, paths, strict=True)})
    there = [(row, key) for (row, _), key in zip(paths, keys, strict=True) if key not in failed]
    vectors = store.rows([key for _, key in there])
    return vectors, np.array([row for row, _ in there]), folders


def hits(vectors: np.ndarray, codes: np.ndarray, texts: np.ndarray) -> dict[int, int]:
    """Return how many images have their class first, and among the five nearest texts."""
    found = dict.fromkeys((1, min(5, len(texts))), 0)
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, start + _BLOCK)
        best = np.argsort(-(vectors[block] @ texts.T), axis=1, kind="stable")
        for top in found:
            found[top] += int((best[:, :top] == codes[block, None]).any(axis=1).sum())
    return found


def main() -> None:
    """Embed, classify by the texts, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--download", action="store_true")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--templates", choices=("80", "7", "1"), default="80")
    parser.add_argument("--result")
    asked = parser.parse_args()
    choice = BackboneChoice(asked.backbone, weights=asked.weights, download=asked.download)
    encoder = choice.text_encoder()
    if encoder is None:
        raise SystemExit(f"{asked.backbone!r} reads no text. Give clip:NAME or clip:FOLDER.")
    vectors, codes, folders = image_vectors(asked.images, choice, asked.state)
    texts = class_vectors(encoder, spoken(folders), templates(asked.templates))
    how = f"{len(folders)} classes by {asked.templates} templates"
    figures = {
        "backbone": asked.backbone, "templates": asked.templates, "classes": len(folders),
        "logit_scale": encoder.logit_scale, "logit_bias": encoder.logit_bias,
        **{f"top_{top}": share(n, len(codes), f"top-{top} accuracy", how).as_dict()
           for top, n in hits(vectors, codes, texts).items()},
    }  # fmt: skip
    print(json.dumps(figures, indent=1))
    if asked.result:
        name = f"clip_zero_shot_{asked.result}"
        record.write(name, figures, claim="of the model's publisher", script="clip_zero_shot")


if __name__ == "__main__":
    main()
