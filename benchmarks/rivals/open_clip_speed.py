"""Claim: an image-text model of open_clip embeds images faster as handful's exported graph than by open_clip itself.

    HANDFUL_DATA=... PYTHONPATH=src python benchmarks/rivals/open_clip_speed.py [--model ViT-B-32]

Random weights: speed only. 128 photos from file to vector; open_clip's own preprocessing in a DataLoader of two
workers and ``encode_image`` in eager torch without gradients, against ``handful``'s pipeline on the exported graph, in
turn. The cosine between both vectors of an image is beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file

from handful.backbones import load_clip
from handful.embeddings import VectorStore, embed

sys.path.insert(0, str(Path(__file__).parents[1]))
import record

IMAGES, ROUNDS = 128, 3


class Photos(torch.utils.data.Dataset):
    """Photos as open_clip wants them."""

    def __init__(self, paths, preprocess) -> None:
        self.paths, self.preprocess = paths, preprocess

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self.paths)

    def __getitem__(self, row: int):
        """Return one, prepared."""
        return self.preprocess(Image.open(self.paths[row]))


def main() -> None:
    """Measure both in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ViT-B-32")
    name = parser.parse_args().model
    torch.manual_seed(0)
    paths = sorted((Path(os.environ["HANDFUL_DATA"]) / "clothing" / "test").rglob("*.jpg"))[:IMAGES]
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    model.eval()
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.safetensors"
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, weights)
        backbone = load_clip(name, weights=weights)
    kept: dict[str, np.ndarray] = {}

    @torch.inference_mode()
    def theirs() -> float:
        start = time.perf_counter()
        loader = torch.utils.data.DataLoader(Photos(paths, preprocess), 32, num_workers=2)
        parts = [model.encode_image(batch, normalize=True).numpy() for batch in loader]
        kept["theirs"] = np.concatenate(parts)
        return IMAGES / (time.perf_counter() - start)

    def ours() -> float:
        with tempfile.TemporaryDirectory() as folder:
            store = VectorStore(Path(folder), backbone.spec.fingerprint, backbone.spec.dim)
            names = {f"{row:032x}": path for row, path in enumerate(paths)}
            start = time.perf_counter()
            embed(store, backbone, names, quiet=True)
            seconds = time.perf_counter() - start
            kept["ours"] = store.rows(list(names))
        return IMAGES / seconds

    ours_rate, their_rate = record.interleaved(ROUNDS, ours, theirs)
    unit = kept["ours"] / np.linalg.norm(kept["ours"], axis=1, keepdims=True)
    cosines = (unit * kept["theirs"]).sum(axis=1)
    figures = {
        "model": name, "images": IMAGES, "images_per_second": {"handful": ours_rate, "open_clip": their_rate},
        "times_faster": record.ratios(ours_rate, their_rate), "least_cosine": round(float(cosines.min()), 5),
    }  # fmt: skip
    print(figures)
    record.write("rivals_open_clip_speed", figures, claim=__doc__.splitlines()[0],
                 script="rivals/open_clip_speed")  # fmt: skip


if __name__ == "__main__":
    main()
