"""``handful embed``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from handful.cli.options import (
    backbone_choice,
    backbone_options,
    cluster_choice,
    cluster_options,
    echo_cluster,
    folder,
    jobs_option,
    local_place,
    project_option,
    quiet_option,
)


@click.command()
@click.argument("images")
@click.option(
    "-o",
    "--output",
    required=True,
    help="vectors.npz, or .parquet with that extra; a folder for ray.",
)
@backbone_options
@project_option
@jobs_option
@cluster_options
@quiet_option
def embed(
    images: str, output: str, project_dir: Path | None, n_jobs: int | None,
    quiet: bool, **given: Any,
) -> None:  # fmt: skip
    """Write vectors for other programs.

    A vector is what the network makes of an image: like images have near vectors.
    With --engine ray IMAGES may also be a .parquet or .csv file with a column path.
    A run that was stopped goes on when it is given again.
    """
    from handful.jobs import embed_folder, embed_on_ray

    cluster, choice = cluster_choice(given), backbone_choice(given)
    if cluster is not None:
        result = embed_on_ray(images, output, backbone=choice, cluster=cluster, quiet=quiet)
        return echo_cluster(result, output, quiet=quiet)
    place = folder.convert(local_place(images), None, None)
    n = embed_folder(
        place, Path(output), backbone=choice, project_dir=project_dir, n_jobs=n_jobs, quiet=quiet
    )
    click.echo(f"{n} vectors written to {output}")
    return None
