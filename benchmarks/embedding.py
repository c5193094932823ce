"""Embedding 500×375 JPEG photos from files to stored vectors, against timm with a DataLoader and ONNX Runtime alone.

Needs the extra ``train`` for the rival and HANDFUL_DATA for the photos:

    HANDFUL_DATA=... python benchmarks/embedding.py

All three run the packaged EfficientNet-Lite0 with the same weights on the same images in one process, in turn.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import timm
import torch
from PIL import Image
from record import interleaved, ratios, write

from handful.backbones import packaged
from handful.backbones.packaged import weights_file
from handful.backbones.state_dict import read_state_dict
from handful.core import usable_cores
from handful.embeddings import VectorStore, embed
from handful.images import decode


def photos(folder: Path, n: int) -> dict[str, Path]:
    """Write ``n`` real photos as 500×375 JPEG files; return them by a made-up hash."""
    sources = sorted((Path(os.environ["HANDFUL_DATA"]) / "clothing" / "train").rglob("*.jpg"))
    found = {}
    for number in range(n):
        path = folder / f"{number:05}.jpg"
        Image.open(sources[number * len(sources) // n]).convert("RGB").resize((500, 375)).save(
            path, quality=90
        )
        found[f"{number:032x}"] = path
    return found


def rival(paths: list[Path], cores: int) -> tuple[torch.nn.Module, torch.utils.data.DataLoader]:
    """Return timm's model with the packaged weights, and its own transform in a DataLoader."""
    model = timm.create_model("tf_efficientnet_lite0", num_classes=1000)
    names = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    values = [
        v
        for k, v in read_state_dict(weights_file()).items()
        if not k.endswith("num_batches_tracked")
    ]
    model.load_state_dict(
        {k: torch.from_numpy(v) for k, v in zip(names, values, strict=True)}, strict=False
    )
    model.reset_classifier(0)
    transform = timm.data.create_transform(**timm.data.resolve_data_config(model.pretrained_cfg))

    class Photos(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, row: int) -> torch.Tensor:
            return transform(Image.open(paths[row]).convert("RGB"))

    return model.eval(), torch.utils.data.DataLoader(Photos(), batch_size=32, num_workers=cores)


def main() -> None:
    """Run the benchmark and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    cores = usable_cores()
    torch.set_num_threads(cores)
    backbone = packaged()
    with tempfile.TemporaryDirectory() as place:
        images = photos(Path(place), options.images)
        model, loader = rival(list(images.values()), cores)
        arrays = np.stack([decode(path, backbone.spec.preprocess) for path in images.values()])
        session = onnxruntime.InferenceSession(
            backbone.model.SerializeToString(), providers=["CPUExecutionProvider"]
        )

        def ours() -> float:
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                store = VectorStore(Path(folder), backbone.spec.fingerprint, backbone.spec.dim)
                embed(store, backbone, images, quiet=True)
                return len(images) / (time.perf_counter() - start)

        def timm_loop() -> float:
            start = time.perf_counter()
            with torch.inference_mode():
                torch.cat([model(batch) for batch in loader])
            return len(images) / (time.perf_counter() - start)

        def onnx_alone() -> float:
            start = time.perf_counter()
            for first in range(0, len(arrays), 16):
                session.run(None, {"images": arrays[first : first + 16]})
            return len(images) / (time.perf_counter() - start)

        for action in (ours, timm_loop, onnx_alone):
            action()
        rates = interleaved(options.repeats, ours, timm_loop, onnx_alone)
    figures = {
        "images": options.images,
        "images_per_second": {
            name: [round(rate, 1) for rate in values]
            for name, values in zip(
                ("handful", "timm eager, DataLoader", "ONNX Runtime on decoded arrays"),
                rates,
                strict=True,
            )
        },
        "ratio_to_timm": ratios(rates[0], rates[1]),
        "ratio_to_onnx_runtime_alone": ratios(rates[0], rates[2]),
        "interval": "smallest and largest of the pairs",
    }
    print(
        write(
            "embedding", figures, claim="≥ 2.5 times timm's eager loop, ≥ 0.8 of ONNX Runtime alone"
        )
    )
    print(figures["ratio_to_timm"], figures["ratio_to_onnx_runtime_alone"])


if __name__ == "__main__":
    main()
