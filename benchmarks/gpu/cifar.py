"""Learning without labels on CIFAR-size images: ResNet-18, kNN and linear accuracy of the last epoch.

python benchmarks/gpu/cifar.py CIFAR10 --method contrastive --epochs 200 --batch-size 128 --folder STATE
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

import record
from tiles import training_data

from handful.adapt import Budget, Hardware, Network, as_chain, plan, train, watch
from handful.core import Float32, Int
from handful.heads import LinearProbe, NearestNeighbours
from handful.images import Preprocess, decode
from handful.jobs.adaptation import Adaptation, build, recipe_of
from handful.measure import share

SIDE = 32
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


def small_resnet(seed: int) -> Network:
    """Return ResNet-18 for 32-pixel images: a 3 × 3 stem of stride 1 and no pooling after it."""
    torch.manual_seed(seed)
    model = timm.create_model("resnet18", num_classes=0)
    model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    model.maxpool = nn.Identity()
    chain = as_chain(model, size=SIDE).to(memory_format=torch.channels_last)
    return Network(
        chain, Preprocess(SIDE, 1.0), MEAN, STD, "resnet18, 32 px", pretrained_on="nothing"
    )


def listed(root: Path) -> tuple[list[Path], Int]:
    """Return the images of class folders, and class numbers."""
    paths = sorted(path for path in root.rglob("*.*") if path.is_file())
    names = sorted({path.parent.name for path in paths})
    return paths, np.array([names.index(path.parent.name) for path in paths], np.int64)


@torch.inference_mode()
def vectors(network: Network, paths: list[Path]) -> Float32:
    """Return the vectors of images, computed where the chain lies."""
    device: Any = next(network.chain.parameters()).device
    mean, std = (np.asarray(value, np.float32) * 255 for value in (network.mean, network.std))
    parts = []
    for start in range(0, len(paths), 512):
        block = np.stack([decode(path, network.preprocess) for path in paths[start : start + 512]])
        x = torch.from_numpy((block - mean) / std).permute(0, 3, 1, 2).float().to(device)
        parts.append(network.chain.eval()(x).float().cpu().numpy())
    return np.concatenate(parts)


def main() -> None:
    """Train, then measure once on the test images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--method", default="contrastive")
    parser.add_argument("--simsiam", action="store_true")
    parser.add_argument("--epochs", type=float, default=200)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--precision", default="bf16-mixed")
    parser.add_argument("--folder", type=Path, required=True, help="state of the run")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    paths, y = listed(asked.images / "train")
    test, y_test = listed(asked.images / "test")
    network = small_resnet(asked.seed)
    data = training_data(
        network, paths, np.full(len(paths), -1, np.int64), SIDE, asked.folder / "pixels"
    )
    options = {"momentum": None} if asked.simsiam else {}
    settings = Adaptation(
        scratch=True, batch_size=asked.batch_size, rate=asked.rate, options=options
    )
    method = build(
        asked.method,
        network,
        settings,
        targets=data.targets,
        vectors=np.zeros((0, 0), np.float32),
        size=SIDE,
    )
    hardware = Hardware(asked.device, asked.devices, asked.precision)
    recipe = replace(recipe_of(asked.method, settings, asked.seed), ema=None)
    recipe = plan(method, data, recipe, Budget(asked.epochs, "epochs"), hardware)
    train(method, data, recipe, asked.folder, look=watch(data, SIDE), hardware=hardware)
    X, X_test = vectors(network, paths), vectors(network, test)
    heads = {"knn_200": NearestNeighbours(n_neighbors=200), "linear": LinearProbe()}
    figures = {
        name: share(
            int((head.fit(X, y).predict(X_test) == y_test).sum()), len(y_test), "accuracy", "Wilson"
        ).as_dict()
        for name, head in heads.items()
    }
    print(figures)
    name = f"gpu_{asked.method}{'_simsiam' if asked.simsiam else ''}"
    record.write(
        name,
        {**{k: str(v) for k, v in vars(asked).items()}, **figures},
        seed=asked.seed,
        script="gpu/cifar",
    )


if __name__ == "__main__":
    main()
