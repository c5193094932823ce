"""``handful import``."""

from __future__ import annotations

from pathlib import Path

import click

from handful.cli.options import echo_json, file, images_argument, json_option, project_option


@click.command("import")
@images_argument
@click.argument("labels", type=file, required=False)
@click.option("--undo", is_flag=True, help="Take the last import back.")
@project_option
@json_option
def import_labels(
    images: Path, labels: Path | None, undo: bool, project_dir: Path | None, as_json: bool
) -> None:
    """Read labels for IMAGES from the file LABELS.

    LABELS is a CSV file (path,label[,split,group]), a Hugging Face metadata.csv or metadata.jsonl, or
    a Label Studio export (JSON). The kind is found from the content. Human labels are not changed.
    """
    from handful.jobs import import_labels as job
    from handful.jobs import undo_import

    if undo == (labels is not None):
        raise click.UsageError("Give a file of labels, or --undo alone.")
    outcome = (
        undo_import(images, project_dir=project_dir)
        if labels is None
        else job(images, labels, project_dir=project_dir)
    )
    echo_json(outcome.as_dict()) if as_json else click.echo(str(outcome))
