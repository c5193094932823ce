"""``handful import``."""

from __future__ import annotations

from pathlib import Path

import click

from handful.cli.options import file, images_argument, json_option, project_option


@click.command("import")
@images_argument
@click.argument("labels", type=file, required=False)
@click.option("--undo", is_flag=True, help="Take the last import of a file back.")
@click.option("--skip-unknown", is_flag=True, help="Leave out rows whose image is not there.")
@click.option("--new-classes", is_flag=True, help="Accept classes that IMAGES does not have yet.")
@click.option(
    "--column", default="label", show_default=True, help="The class's column in a metadata file."
)
@project_option
@json_option
def import_labels(
    images: Path,
    labels: Path | None,
    undo: bool,
    skip_unknown: bool,
    new_classes: bool,
    column: str,
    project_dir: Path | None,
    as_json: bool,
) -> None:
    """Read labels from a file, or take that back.

    LABELS is a CSV file (path,label[,split,group]), a Hugging Face metadata.csv or
    metadata.jsonl, or a Label Studio export (.json). A file with a problem is refused whole.
    Labels by a person are not changed.
    """
    from handful.cli.printing import print_import
    from handful.jobs import import_labels as job
    from handful.jobs import undo_import

    if undo == (labels is not None):
        raise click.UsageError("Give a file of labels, or --undo alone.")
    if labels is None:
        print_import(undo_import(images, project_dir=project_dir), as_json)
    else:
        outcome = job(
            images, labels, column=column, skip_unknown=skip_unknown, new_classes=new_classes, project_dir=project_dir
        )  # fmt: skip
        print_import(outcome, as_json)
