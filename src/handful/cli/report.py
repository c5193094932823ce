"""``handful report``."""

from __future__ import annotations

from pathlib import Path

import click

from handful.cli.options import echo_json, file, images_argument, json_option, project_option


@click.command()
@images_argument
@click.option(
    "-o", "--output", type=file, default="report.html", show_default=True, help="The page to write."
)
@project_option
@json_option
def report(images: Path, output: Path, project_dir: Path | None, as_json: bool) -> None:
    """Write the last fit's report as a page."""
    from handful.jobs import read_report, write_report

    if as_json:
        echo_json(read_report(images, project_dir=project_dir))
    else:
        click.echo(write_report(images, output, project_dir=project_dir))
