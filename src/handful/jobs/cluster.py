"""Embed and predict on many machines with Ray Data: a pool of workers, each with the network in it.

Only names of images travel. A worker takes a shard, reads its images, decodes them, runs the network
on them and writes one file. A worker that dies takes nothing along but the shard that it had in hand,
which another one makes again, under the same name: nothing is lost and nothing is there twice.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.core import MissingExtraError, Progress, ProjectError, StoreError, listed, usable_cores
from handful.jobs.backbone import BackboneChoice
from handful.jobs.shard_work import EmbedTask, PredictTask, ShardWorker, Task
from handful.jobs.shards import (
    FAILED,
    Listing,
    Outcome,
    Shard,
    ShardFolder,
    absolute,
    list_images,
    plan,
)
from handful.project import escape_cell

_ATTEMPTS = 4  # at a shard whose workers die
_OBJECT_STORE = 256 << 20  # bytes; only names travel


@dataclass(frozen=True)
class Cluster:
    """Where and with how many workers.

    Parameters
    ----------
    address : str, optional
        Of a Ray cluster that this machine belongs to: ``"auto"`` or ``"head:6379"``. By default
        Ray is started on this machine alone, for this run.
    workers : int, optional
        At most so many; by default as many as there are cores for.
    cores : int, default=1
        Threads a worker decodes and computes on.
    gpus : float, default=0
        GPUs a worker, or a fraction of one. Needs onnxruntime-gpu.
    shard_size : int, default=1024
        About how many images a file at most; a worker that dies loses no more.
    """

    address: str | None = None
    workers: int | None = None
    cores: int = 1
    gpus: float = 0.0
    shard_size: int = 1024

    @property
    def device(self) -> str:
        """Where a worker's network runs."""
        return "cuda" if self.gpus else "cpu"


@dataclass(frozen=True)
class ClusterResult:
    """What a run on a cluster did.

    Parameters
    ----------
    done : int
        Number of images with a result.
    failed : dict of str to str
        Path and reason of those without.
    made, kept : int
        Number of shards made now, and of those that were there.
    """

    done: int
    failed: dict[str, str]
    made: int
    kept: int


def embed_on_ray(
    images: str,
    output: str,
    *,
    backbone: BackboneChoice | None = None,
    cluster: Cluster | None = None,
    quiet: bool = False,
) -> ClusterResult:
    """Write the vectors of images to a folder of parquet files, computed by Ray's workers.

    A vector is the same, bit for bit, as `embed_folder` computes on such a processor; but 16-bit
    images are taken as if they used their whole range, since no one looks at all of them before.

    Parameters
    ----------
    images : str
        A folder or a manifest, anywhere that fsspec reaches: a path, ``s3://``, ``gs://``. See `list_images`.
    output : str
        A folder likewise, for these images and this backbone alone. Its files have the columns
        ``path``, ``hash`` and ``embedding``; ``_failed.csv`` lists the images that could not be used.
    backbone : BackboneChoice, optional
        The packaged one by default. It is loaded here and sent to the workers.
    cluster : Cluster, optional
    quiet : bool, default=False
        Show no progress.

    Raises
    ------
    ProjectError
        If there is no image, or the folder holds results of something else.
    StoreError
        If a shard could not be finished. The others are kept: run the same again.
    MissingExtraError
        Without the extra ``cluster``.

    References
    ----------
    .. [1] Moritz et al., "Ray: A Distributed Framework for Emerging AI Applications", OSDI 2018,
       https://arxiv.org/abs/1712.05889
    """
    cluster = cluster or Cluster()
    _ray(cluster)
    task = EmbedTask((backbone or BackboneChoice()).load(), cluster.device)
    return _run(task, images, output, cluster, quiet=quiet)


def predict_on_ray(
    model: Path, images: str, output: str, *, cluster: Cluster | None = None, quiet: bool = False
) -> ClusterResult:
    """Classify images with a model file on Ray's workers; as `embed_on_ray`, with other columns.

    The files have ``path``, ``hash`` and what `predict` says of an image: ``label``,
    ``confidence``, ``known``, ``is_known``, ``flagged`` and ``probabilities``.

    Raises
    ------
    BundleError
        If the model cannot be loaded.
    ProjectError, StoreError, MissingExtraError
        As `embed_on_ray`.
    """
    cluster = cluster or Cluster()
    _ray(cluster)
    return _run(PredictTask(model, cluster.device), images, output, cluster, quiet=quiet)


def _run(task: Task, images: str, output: str, cluster: Cluster, *, quiet: bool) -> ClusterResult:
    listing, output = list_images(images), absolute(output)
    shards = plan(listing, task.fingerprint, cluster.shard_size)
    folder = ShardFolder(output)
    facts = {
        "format_version": 1, "made_by": task.verb, "source": absolute(images), "fingerprint": task.fingerprint,
        "shard_size": cluster.shard_size, "images": len(listing.versions), "shards": len(shards),
    }  # fmt: skip
    folder.claim(facts)
    outcomes = folder.finished(shards)
    kept = len(outcomes)
    left = [shard for shard in shards if shard.name not in outcomes]
    with Progress(task.verb, sum(len(shard.paths) for shard in left), quiet=quiet) as progress:
        for outcome in _outcomes(task, left, listing.base, output, cluster):
            outcomes[outcome.shard] = outcome
            progress.advance(outcome.done + len(outcome.failed))
    _refuse_unfinished(shards, outcomes)
    failed = _failures(folder, listing, outcomes)
    folder.close(shards, {**facts, "failed": len(failed)})
    return ClusterResult(sum(o.done for o in outcomes.values()), failed, len(left), kept)


def _outcomes(
    task: Task, shards: Sequence[Shard], base: str, output: str, cluster: Cluster
) -> Iterator[Outcome]:
    if not shards:
        return
    with _connected(cluster) as ray:
        rows = [{"shard": shard.name, "paths": json.dumps(shard.paths)} for shard in shards]
        workers = min(_most_workers(ray, cluster), len(shards))
        attempts = ray.remote(num_cpus=0)(_Attempts).remote()
        worker = {"base": base, "output": output, "threads": cluster.cores}
        made = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Worker, batch_size=1, num_cpus=cluster.cores, num_gpus=cluster.gpus or None,
            fn_constructor_kwargs={"task": [ray.put(task)], "attempts": attempts, **worker},
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
        )  # fmt: skip
        for row in made.iter_rows():
            yield Outcome.from_json(row["outcome"])


class _Attempts:
    """Counts how often each shard was begun; it lives in a process of its own."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def begin(self, shard: str) -> int:
        self._counts[shard] += 1
        return self._counts[shard]


class _Worker:
    """A `ShardWorker` in a process of Ray's, which fetches the network once.

    Ray gives the shard of a worker that died to another one, and so on without end. An image that
    kills its worker, by the memory it takes, must not do so for ever.
    """

    def __init__(self, task: list[Any], attempts: Any, **worker: Any) -> None:
        import ray

        self._get, self._attempts = ray.get, attempts
        self._worker = ShardWorker(ray.get(task[0]), **worker)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Make the shard of a row ``shard``, ``paths`` (JSON) and return its outcome as JSON."""
        (name,), (paths,) = batch["shard"], batch["paths"]
        begun = self._get(self._attempts.begin.remote(name))
        said = (
            self._worker.tried(name, json.loads(paths))
            if begun <= _ATTEMPTS
            else Outcome(name, error=f"{_ATTEMPTS} workers died on a shard (out of memory?)")
        )
        return {"outcome": [said.as_json()]}


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """Yield ray, connected; a Ray that was there before stays."""
    ray = _ray(cluster)
    was_there = ray.is_initialized()
    if not was_there:
        ray.init(**_place(cluster), log_to_driver=False, logging_level="ERROR")
    settings = ray.data.DataContext.get_current()
    before = settings.enable_progress_bars, settings.max_errored_blocks
    try:
        settings.enable_progress_bars = False
        settings.max_errored_blocks = -1  # a shard that Ray gave up is told of at the end
        yield ray
    finally:
        settings.enable_progress_bars, settings.max_errored_blocks = before
        if not was_there:
            ray.shutdown()


def _place(cluster: Cluster) -> dict[str, Any]:
    if cluster.address is not None:
        return {"address": cluster.address}
    cores = (cluster.workers or max(usable_cores() // cluster.cores, 1)) * cluster.cores
    return {
        "address": "local", "num_cpus": cores, "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE,
    }  # fmt: skip


def _most_workers(ray: Any, cluster: Cluster) -> int:
    there = ray.cluster_resources()
    fits = int(there.get("CPU", 1) // cluster.cores)
    if cluster.gpus:
        fits = min(fits, int(there.get("GPU", 0) / cluster.gpus))
    return cluster.workers or max(fits, 1)


def _ray(cluster: Cluster) -> Any:
    if cluster.address is None:  # its ports are open to the network: a secret keeps strangers out
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would send figures to its makers
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it warns of what is no fault
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("The engine 'ray'", "ray", "cluster") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


def _refuse_unfinished(shards: Sequence[Shard], outcomes: dict[str, Outcome]) -> None:
    """Say which shards are not written, and why."""
    lost = [shard for shard in shards if shard.name not in outcomes or outcomes[shard.name].error]
    if not lost:
        return
    reasons = {outcomes[s.name].error if s.name in outcomes else "Ray gave them up" for s in lost}
    raise StoreError(
        f"{len(lost)} of {len(shards)} shards could not be finished, such as that of {lost[0].paths[0]!r}: "
        f"{listed(sorted(reasons))}. Run the same command again: the others are kept."
    )


def _failures(
    folder: ShardFolder, listing: Listing, outcomes: dict[str, Outcome]
) -> dict[str, str]:
    failed = dict(listing.failed)
    for name in sorted(outcomes):
        failed.update(outcomes[name].failed)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "reason"])
    table.writerows((escape_cell(path), reason) for path, reason in sorted(failed.items()))
    folder.write(FAILED, text.getvalue().encode())
    if not any(outcome.done for outcome in outcomes.values()):
        raise ProjectError(f"None of the {len(failed)} images can be used: see {FAILED}.")
    return failed
