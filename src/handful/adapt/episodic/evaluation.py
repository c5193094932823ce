"""The accuracy of a method on fixed tasks, and the best state of a run by the accuracy on validation classes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from handful.adapt.chain import evaluation
from handful.adapt.episodic.episodes import Episodes
from handful.adapt.episodic.episodic import Episodic
from handful.core import AdaptError, Float64, Int, write_atomically
from handful.measure import Tasks

_BATCH = 256  # images
_PAIRS = 2**14  # of query and class that are compared at once
_AT_ONCE = 1024  # images of tasks that are trained on
BEST = "best.safetensors"


def task_accuracies(
    method: Episodic,
    episodes: Episodes,
    tasks: Tasks,
    mean: Sequence[float],
    std: Sequence[float],
) -> Float64:
    """Return the share of right answers in each task; the method is as before afterwards.

    Parameters
    ----------
    method : Episodic
    episodes : Episodes
        The tasks were drawn from its ``codes``.
    tasks : Tasks
        All of one way, shot and number of queries.
    mean, std : sequence of 3 floats
        Normalisation, in units where white is 1.
    """
    answers = torch.from_numpy(tasks.query_codes)
    rows, place = np.unique(
        np.concatenate([tasks.support.reshape(len(tasks), -1), tasks.query], axis=1),
        return_inverse=True,
    )
    place = torch.from_numpy(place.reshape(len(tasks), -1))
    n_given = tasks.support[0].size
    with evaluation(method), torch.no_grad():
        features = _features(method, episodes, rows, mean, std) if method.per_image else None
        found = []
        pairs = tasks.query.shape[1] * tasks.support.shape[1]
        step = max(1, _PAIRS // pairs if method.per_image else _AT_ONCE // place.shape[1])
        for start in range(0, len(tasks), step):
            own = place[start : start + step]
            if features is None:
                some, own = own.unique(return_inverse=True)
                x = _features(method, episodes, rows[some.numpy()], mean, std)[own]
            else:
                x = features[own]
            support = x[:, :n_given].unflatten(1, tasks.support.shape[1:])
            scores = method.scores(support, x[:, n_given:])
            right = scores.argmax(dim=2).cpu() == answers[start : start + step]
            found.append(right.double().mean(dim=1))
    return torch.cat(found).numpy()


def as_input(view: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return uint8 images [n, 3, s, s] as a network takes them."""
    mean_, std_ = (
        torch.tensor(value, device=view.device).reshape(3, 1, 1) * 255 for value in (mean, std)
    )
    return ((view.float() - mean_) / std_).contiguous(memory_format=torch.channels_last)


def _features(
    method: Episodic, episodes: Episodes, rows: Int, mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    device = next(method.parameters()).device
    return torch.cat([
        method.features(as_input(episodes.at(rows[i : i + _BATCH]).to(device), mean, std))
        for i in range(0, len(rows), _BATCH)
    ])  # fmt: skip


@dataclass(frozen=True)
class Validation:
    """Looks at a run: measures it on validation classes and keeps its best state on disk.

    Parameters
    ----------
    episodes : Episodes
        Of the validation classes, none of which is trained on.
    tasks : Tasks
    mean, std : sequence of 3 floats
    folder : Path
        Of the run.
    """

    episodes: Episodes
    tasks: Tasks
    mean: Sequence[float]
    std: Sequence[float]
    folder: Path

    def __call__(self, method: Episodic) -> dict[str, float]:
        """Return the accuracy, after writing the state if none before was better."""
        found = task_accuracies(method, self.episodes, self.tasks, self.mean, self.std).mean()
        if found > self.best():
            state = {key: value.cpu().contiguous() for key, value in method.state_dict().items()}
            metadata = {"accuracy": json.dumps(float(found))}
            write_atomically(self.folder / BEST, safetensors.torch.save(state, metadata))
        return {"validation_accuracy": float(found)}

    def best(self) -> float:
        """Return the best accuracy so far, below 0 before the first look."""
        path = self.folder / BEST
        if not path.is_file():
            return -1.0
        try:
            with safetensors.safe_open(path, "pt") as file:
                return float(json.loads(file.metadata()["accuracy"]))
        except (OSError, ValueError, TypeError, KeyError, safetensors.SafetensorError) as error:
            raise AdaptError(
                f"{str(path)!r} is damaged ({error}). Delete the folder to begin again."
            ) from error

    def restore(self, method: Episodic) -> None:
        """Put the best state into the method."""
        method.load_state_dict(safetensors.torch.load_file(self.folder / BEST))
