"""Write the vectors of a folder to one file, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from handful.core import MissingExtraError, ProjectError, write_atomically
from handful.jobs.backbone import BackboneChoice
from handful.jobs.workspace import Workspace, open_workspace


def embed_folder(
    images: Path,
    output: Path,
    *,
    backbone: BackboneChoice | None = None,
    project_dir: Path | None = None,
    n_jobs: int | None = None,
    quiet: bool = False,
) -> int:
    """Embed a folder and write names, labels and vectors.

    Parameters
    ----------
    images : Path
        The folder.
    output : Path
        ``.npz`` (``names``, ``hashes``, ``labels``, ``X`` float32 [n, dim],
        ``fingerprint``), or ``.parquet`` with that extra.
    backbone : BackboneChoice, optional
        The packaged one by default.
    project_dir, n_jobs, quiet
        As in `handful.fit`.

    Returns
    -------
    int
        Number of images.

    Raises
    ------
    ProjectError
        If the ending is unknown or no image is left.
    MissingExtraError
        For parquet without pyarrow.
    """
    writers = {".npz": _write_npz, ".parquet": _write_parquet}
    if output.suffix not in writers:
        raise ProjectError(f"Vectors are written as .npz or .parquet. Got {output.name!r}.")
    if output.suffix == ".parquet":
        _pyarrow()
    with open_workspace(
        images, backbone or BackboneChoice(), project_dir=project_dir, n_jobs=n_jobs, quiet=quiet
    ) as work:
        writers[output.suffix](work, output)
        return len(work.images)


def _write_npz(work: Workspace, output: Path) -> None:
    arrays: dict[str, Any] = {
        "names": np.array([image.name for image in work.images]),
        "hashes": np.array([image.hash for image in work.images]),
        "labels": np.array([image.label or "" for image in work.images]),
        "X": work.store.rows([image.hash for image in work.images]),
        "fingerprint": np.array(work.backbone.spec.fingerprint),
    }
    write_atomically(output, lambda file: np.savez(file, **arrays))


def _write_parquet(work: Workspace, output: Path) -> None:
    pa, parquet = _pyarrow()
    X = work.store.rows([image.hash for image in work.images])
    table = pa.table(
        {
            "name": [image.name for image in work.images],
            "hash": [image.hash for image in work.images],
            "label": pa.array([image.label for image in work.images], pa.string()),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), X.shape[1]),
        },
        metadata={"fingerprint": work.backbone.spec.fingerprint},
    )
    write_atomically(output, lambda file: parquet.write_table(table, file))


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("Writing parquet", "pyarrow", "parquet") from error
    return pyarrow, parquet
