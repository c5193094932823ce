"""``handful export``."""

from __future__ import annotations

from pathlib import Path

import click

from handful.cli.options import file, images_argument, project_option


@click.command()
@images_argument
@click.option(
    "-o", "--output", type=file, required=True, help="labels.csv, or tasks.json for Label Studio."
)
@project_option
def export(images: Path, output: Path, project_dir: Path | None) -> None:
    """Write the labels to a file.

    .csv has the columns path,label,split,group; .json holds Label Studio tasks.
    """
    from handful.jobs import export_labels

    click.echo(
        f"{export_labels(images, output, project_dir=project_dir)} images written to {output}"
    )
