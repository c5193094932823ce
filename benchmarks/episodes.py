"""Claims: few-shot tasks are evaluated 20 times as fast as task by task; the forecast of `episodes` holds.

    python benchmarks/episodes.py speed                     needs the extra `train` for the rival
    python benchmarks/episodes.py forecast --vectors DIR
    python benchmarks/episodes.py realism --vectors DIR

``DIR`` holds what ``benchmarks/vectors.py`` writes, and for ``realism`` ``omniglot.npz`` as well:
``handful embed omniglot/images_evaluation --size 64 -o DIR/omniglot.npz``.
``speed`` runs both sides in one process, in turn, on the same vectors; the rival is a sampler, a DataLoader
and a prototypical network in the style of easyfsl, which does not start with today's torch. ``forecast``
compares what `handful episodes` says of clothing's train folder with models fitted on draws of labels of
it and tested on the test folder, which the forecast never saw.
"""

from __future__ import annotations

import argparse
import os
import random as python_random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from record import interleaved, ratios, write
from sklearn import clone

from handful.core import Array, Estimate, stream
from handful.heads import RULES, LinearProbe, transformed
from handful.measure import (
    Realism,
    evaluate_episodes,
    prototype_distances,
    sample_episodes,
    taxonomy_distances,
)

RULE = {rule.name: rule for rule in RULES}
SHOTS = (1, 2, 5, 10, 20)


def vectors_for_speed() -> tuple[Array, Array]:
    """Return 12,000 vectors of 20 classes in 512 dimensions."""
    random = stream(0, "speed")
    y = np.repeat([f"class {c:02}" for c in range(20)], 600)
    centres = np.repeat(random.normal(size=(20, 512)), 600, axis=0)
    return (1.2 * centres + 4 * random.normal(size=(12_000, 512))).astype(np.float32), y


def task_by_task(X: Array, y: Array, n_tasks: int) -> tuple[float, dict[str, float]]:
    """Return accuracy and tasks a second of a loop over tasks with a DataLoader."""
    import torch
    from torch.utils.data import DataLoader, Dataset

    torch.set_num_threads(1)  # its tensors are small: with more it is slower
    codes = np.unique(y, return_inverse=True)[1].tolist()
    rows = torch.from_numpy(X / np.linalg.norm(X, axis=1, keepdims=True))

    class Vectors(Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, row: int) -> tuple[Any, int]:
            return rows[row], codes[row]

    members: dict[int, list[int]] = {}
    for row, code in enumerate(codes):
        members.setdefault(code, []).append(row)

    class Tasks:
        def __len__(self) -> int:
            return n_tasks

        def __iter__(self) -> Iterator[list[int]]:
            for _ in range(n_tasks):
                yield torch.cat(
                    [
                        torch.tensor(python_random.sample(members[c], 16))
                        for c in python_random.sample(sorted(members), 5)
                    ]
                ).tolist()

    def collate(items: list[tuple[Any, int]]) -> tuple[Any, ...]:
        true = [code for _, code in items]
        own = list(dict.fromkeys(true))
        images = torch.stack([image for image, _ in items]).reshape(5, 16, -1)
        labels = torch.tensor([own.index(code) for code in true]).reshape(5, 16)
        support, query = images[:, :1].flatten(0, 1), images[:, 1:].flatten(0, 1)
        return support, labels[:, :1].flatten(), query, labels[:, 1:].flatten()

    python_random.seed(0)
    right, wall, cpu = 0, time.perf_counter(), time.process_time()
    with torch.no_grad():
        for support, given, query, asked in DataLoader(
            Vectors(), batch_sampler=Tasks(), collate_fn=collate
        ):
            prototypes = torch.stack([support[given == c].mean(0) for c in range(5)])
            scores = -torch.cdist(query, prototypes)
            right += int((scores.argmax(1) == asked).sum().item())
    return right / n_tasks / 75, _rates(n_tasks, wall, cpu)


def many_at_once(
    X: Array, y: Array, n_tasks: int, kept: Any = None
) -> tuple[Estimate, dict[str, float]]:
    """Return the accuracy, and the tasks drawn and evaluated a second."""
    wall, cpu = time.perf_counter(), time.process_time()
    tasks = sample_episodes(y, n_tasks=n_tasks)
    report = evaluate_episodes(X, y, tasks, {"p": RULE["nearest_euclidean"]}, kept=kept)
    return report.methods["p"].accuracy, _rates(n_tasks, wall, cpu)


def _rates(n_tasks: int, wall: float, cpu: float) -> dict[str, float]:
    return {
        "wall": n_tasks / (time.perf_counter() - wall),
        "cpu": n_tasks / (time.process_time() - cpu),
    }


def speed(repetitions: int) -> None:
    """Compare tasks a second."""
    X, y = vectors_for_speed()
    n_ours, n_theirs = 10_000, 1_000
    many_at_once(X, y, 200), task_by_task(X, y, 20)
    kept: dict[Any, Any] = {}
    start, cpu = time.perf_counter(), time.process_time()
    many_at_once(X, y, 10, kept)
    matrix = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    accuracy: dict[str, Any] = {}

    def first() -> Any:
        accuracy["ours"], rates = many_at_once(X, y, n_ours)
        return rates

    def again() -> Any:
        return many_at_once(X, y, n_ours, kept)[1]

    def theirs() -> Any:
        accuracy["theirs"], rates = task_by_task(X, y, n_theirs)
        return rates

    runs_of = interleaved(repetitions, first, again, theirs)
    sides = dict(zip(("first call", "matrix kept", "task by task"), runs_of, strict=True))
    rates = {
        name: {kind: [run[kind] for run in runs] for kind in ("wall", "cpu")}  # type: ignore[index]
        for name, runs in sides.items()
    }
    faster = {
        name: {
            kind: ratios(rates[name][kind], rates["task by task"][kind]) for kind in ("wall", "cpu")
        }
        for name in ("first call", "matrix kept")
    }
    print(f"times faster: {faster}; {accuracy['ours'].percent} against {accuracy['theirs']:.4f}")
    write(
        "episodes_speed",
        {
            "images": len(X), "dimensions": X.shape[1], "tasks": n_ours, "tasks_of_the_rival": n_theirs,
            "setting": "5-way 1-shot, 15 queries a class", "seconds_of_the_matrix": matrix, "tasks_a_second": rates,
            "times_faster": faster, "accuracy": accuracy["ours"].as_dict(),
            "accuracy_task_by_task": accuracy["theirs"], "threads": os.environ.get("OMP_NUM_THREADS"),
        },
        claim="10,000 tasks drawn and evaluated, with figures and intervals, 20 times as fast as task by task",
        script="episodes",
    )  # fmt: skip


def forecast(vectors: Path, draws: int) -> None:
    """Compare what the train folder promises with fresh draws of its labels tested on the test folder."""
    (X, y), (X_test, y_test) = (_read(vectors, f"clothing_{part}") for part in ("train", "test"))
    X, X_test = (transformed(part, power=0.5) for part in (X, X_test))
    head, rows = LinearProbe(power=1.0, unit_norm=False), []
    for shots in SHOTS:
        tasks = sample_episodes(y, None, shots, None, 50, 0, realism=Realism(fewer_shots=True))
        said = evaluate_episodes(X, y, tasks, {"probe": head}).methods["probe"]
        fresh = sample_episodes(y, None, shots, 1, draws, 1).support.reshape(draws, -1)
        hits = np.array(
            [clone(head).fit(X[own], y[own]).predict(X_test) == y_test for own in fresh]
        )
        found = hits.mean(axis=1)
        alike = hits @ _weights(y, y_test)
        low, high = said.one_task.low, said.one_task.high
        rows.append({
            "labels_a_class": shots, "forecast": said.one_task.as_dict(), "mean": said.elsewhere.as_dict(),
            "test_mean": float(found.mean()), "test_deviation": float(found.std(ddof=1)),
            "mean_inside": bool(low <= found.mean() <= high), "test_mean_mixed_alike": float(alike.mean()),
            "draws_inside_mixed_alike": float(np.mean((low <= alike) & (alike <= high))),
            "draws_inside": float(np.mean((low <= found) & (found <= high))),
        })  # fmt: skip
        print(
            shots,
            said.one_task.percent,
            f"test {100 * found.mean():.1f}, mixed alike {100 * alike.mean():.1f}",
            rows[-1]["draws_inside"],
            flush=True,
        )
    write(
        "episodes_forecast",
        {"draws": draws, "test_images": len(y_test), "method": "LinearProbe", "rows": rows},
        claim="the forecast at 10 labels a class holds on clothing's test folder", seed=1, script="episodes",
    )  # fmt: skip


def _weights(y: Array, y_test: Array) -> Array:
    """Return a weight for each test image so that the classes count as they are mixed in ``y``."""
    names, n = np.unique(y, return_counts=True)
    _, n_test = np.unique(y_test, return_counts=True)
    return (n / n.sum() / n_test)[np.searchsorted(names, y_test)]


def realism(vectors: Path, n_tasks: int = 2000) -> None:
    """Measure one method in ever more realistic settings."""
    table = {}
    X, y = _read(vectors, "omniglot")
    alphabets = np.array([name.split("/")[0] for name in y])
    names, first, n = np.unique(y, return_index=True, return_counts=True)
    edges = [("all", a) for a in np.unique(alphabets)] + list(
        zip(alphabets[first], names, strict=True)
    )
    distances = taxonomy_distances(edges, names.tolist(), n.tolist())
    table["omniglot"] = _settings(X, y, distances, n_tasks, ways=(5, 20, 100), n_query=10)
    X, y = _read(vectors, "clothing_train")
    table["clothing"] = _settings(
        X, y, prototype_distances(X, y), n_tasks, ways=(5, 10), n_query=15
    )
    write(
        "episodes_realism",
        {"tasks": n_tasks, "sets": table},
        claim="how far the balanced 5-way benchmark flatters", script="episodes",
    )  # fmt: skip


def _settings(
    X: Array, y: Array, distances: Array, n_tasks: int, *, ways: tuple[int, ...], n_query: int
) -> list[dict[str, Any]]:
    cases: list[tuple[str, int, Realism]] = [
        (f"{way}-way balanced", way, Realism()) for way in ways
    ]
    cases.insert(1, ("5-way, Dirichlet(0.5) queries", 5, Realism(imbalance=0.5)))
    cases.insert(2, ("5-way, similar classes", 5, Realism(distances=distances)))
    rows = []
    for name, way, kind in cases:
        for shots in (1, 5):
            count = n_tasks if way < 50 else 200
            tasks = sample_episodes(y, way, shots, n_query, count, 0, realism=kind)
            methods = {
                n: RULE[n]
                for n in ("shrinkage_lda", "prototypes", *(("soft_kmeans",) if way == 5 else ()))
            }
            report = evaluate_episodes(X, y, tasks, methods, distances=distances)
            coarsity = float(np.nanmean(tasks.coarsity(distances)))
            rows.append({
                "setting": name, "shots": shots, "tasks": count, "coarsity": coarsity,
                **{m: {"accuracy": f.accuracy.as_dict(), "other_images": f.elsewhere.as_dict(),
                       "quartiles": [q.accuracy.value for q in f.quartiles]} for m, f in report.methods.items()},
            })  # fmt: skip
            said = ", ".join(f"{m} {f.accuracy.percent}" for m, f in report.methods.items())
            print(f"{name}, {shots}-shot: {said}; coarsity {coarsity:.1f}", flush=True)
    return rows


def _read(vectors: Path, name: str) -> tuple[Array, Array]:
    with np.load(vectors / f"{name}.npz") as file:
        return file["X"], file["y" if "y" in file.files else "labels"]


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["speed", "forecast", "realism"])
    parser.add_argument("--vectors", type=Path, help="folder of NAME.npz")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--repetitions", type=int, default=5)
    asked = parser.parse_args()
    if asked.part == "speed":
        speed(asked.repetitions)
    elif asked.vectors is None:
        parser.error("this part needs --vectors DIR")
    elif asked.part == "forecast":
        forecast(asked.vectors, asked.draws)
    else:
        realism(asked.vectors)


if __name__ == "__main__":
    main()
