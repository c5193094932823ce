"""``handful embed``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from handful.cli.options import (
    backbone_choice,
    backbone_options,
    file,
    images_argument,
    jobs_option,
    project_option,
    quiet_option,
)


@click.command()
@images_argument
@click.option(
    "-o", "--output", type=file, required=True, help="vectors.npz, or .parquet with that extra."
)
@backbone_options
@project_option
@jobs_option
@quiet_option
def embed(
    images: Path,
    output: Path,
    project_dir: Path | None,
    n_jobs: int | None,
    quiet: bool,
    **backbone: Any,
) -> None:
    """Write vectors for other programs.

    A vector is what the network makes of an image: like images have near vectors.
    """
    from handful.jobs import embed_folder

    n = embed_folder(
        images,
        output,
        backbone=backbone_choice(backbone),
        project_dir=project_dir,
        n_jobs=n_jobs,
        quiet=quiet,
    )
    click.echo(f"{n} vectors written to {output}")
