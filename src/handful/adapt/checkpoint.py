"""The state of a run on disk: tensors in safetensors, which one is current in JSON."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from handful.core import AdaptError, write_atomically

_POINTER = "checkpoint.json"
Tensors = dict[str, "torch.Tensor"]


def write_checkpoint(folder: Path, step: int, tensors: Tensors, facts: dict[str, Any]) -> None:
    """Write the state after ``step`` steps, then drop the one before it.

    A reader, or a run that goes on after a kill, sees the old state or the new.
    """
    name = f"state-{step}.safetensors"
    content = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    write_atomically(folder / name, save(content))
    pointer = json.dumps({**facts, "step": step, "state": name}, indent=1)
    write_atomically(folder / _POINTER, pointer.encode())
    for old in folder.glob("state-*.safetensors"):
        if old.name != name:
            with suppress(OSError):
                old.unlink()


def read_checkpoint(folder: Path) -> tuple[int, Tensors, dict[str, Any]] | None:
    """Return step, tensors and facts of the current state, None where the run has none.

    Raises
    ------
    AdaptError
        If the files are there but damaged.
    """
    pointer = folder / _POINTER
    if not pointer.is_file():
        return None
    try:
        facts = json.loads(pointer.read_text(encoding="utf-8"))
        step, name = int(facts.pop("step")), Path(str(facts.pop("state"))).name
        return step, load_file(folder / name), facts
    except (ValueError, KeyError, TypeError, AttributeError, OSError, SafetensorError) as error:
        raise AdaptError(
            f"The checkpoint in {str(folder)!r} is damaged ({error}). Delete the folder to begin again."
        ) from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Tensors:
    """Return the state of an optimizer as flat tensors, ``NUMBER/KEY``."""
    return {
        f"{number}/{key}": value if torch.is_tensor(value) else torch.tensor(value)
        for number, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Put back what `optimizer_tensors` returned, in the memory layout of the weights."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        number, name = key.split("/", 1)
        like = parameters[int(number)]
        if value.shape == like.shape and value.ndim:
            value = torch.empty_like(like).copy_(value)
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
