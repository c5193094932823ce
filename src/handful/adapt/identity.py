"""What a run is, written down in its folder, so that another run never goes on from its state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from handful.adapt.recipe import Recipe
from handful.core import AdaptError, Int, listed, write_atomically

_FILE = "run.json"


def identity(
    method: nn.Module, names: Sequence[str], targets: Int, recipe: Recipe
) -> dict[str, Any]:
    """Return what must be equal for a run to go on: method, network, images, labels, recipe, version."""
    images = hashlib.blake2b("\n".join(names).encode(), digest_size=16).hexdigest()
    labels = hashlib.blake2b(np.ascontiguousarray(targets, np.int64).tobytes(), digest_size=16)
    shapes = " ".join(f"{key}{tuple(value.shape)}" for key, value in method.state_dict().items())
    return {
        "method": type(method).__name__,
        "network": hashlib.blake2b(shapes.encode(), digest_size=16).hexdigest(),
        "images": images,
        "labels": labels.hexdigest(),
        "recipe": asdict(recipe),
        "torch version": torch.__version__,
    }


def claim(folder: Path, own: dict[str, Any]) -> Recipe:
    """Write a run down in a new folder, or check that the folder holds this very run.

    Returns
    -------
    Recipe
        The one to train with: another than asked for where memory ran out.

    Raises
    ------
    AdaptError
        If the folder holds another run; the message names what differs.
    """
    path = folder / _FILE
    if not path.is_file():
        write_atomically(
            path, json.dumps({"identity": own, "recipe": own["recipe"]}, indent=1).encode()
        )
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        differing = [key for key in own if there["identity"][key] != own[key]]
        recipe = Recipe(**there["recipe"])
    except (ValueError, KeyError, TypeError) as error:
        raise AdaptError(
            f"{str(path)!r} is damaged ({error}). Delete the folder to begin again."
        ) from error
    if differing:
        raise AdaptError(
            f"{str(folder)!r} holds the state of another run, with another {listed(differing)}. "
            "Go on with what it was begun with, or name another folder."
        )
    return recipe


def halve_batch(folder: Path, recipe: Recipe) -> Recipe:
    """Write down that the run begins again with half the batch and twice the steps."""
    if recipe.batch_size == 1:
        raise AdaptError(
            "Memory ran out with one image a step. Take a smaller --train-size or a smaller backbone."
        )
    smaller = replace(recipe, batch_size=recipe.batch_size // 2, steps=recipe.steps * 2)
    there = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    there["recipe"] = asdict(smaller)
    (folder / "checkpoint.json").unlink(missing_ok=True)
    write_atomically(folder / _FILE, json.dumps(there, indent=1).encode())
    return smaller
