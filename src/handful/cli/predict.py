"""``handful predict``."""

from __future__ import annotations

from pathlib import Path

import click

from handful.cli.options import file, jobs_option, quiet_option


@click.command()
@click.argument("model", type=file)
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "jsonl"]),
    default="table",
    show_default=True,
    help="Table, CSV with a column a class, or one JSON object a line.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
@click.option(
    "--review",
    metavar="N",
    type=click.IntRange(1),
    help="List only the N images most worth labelling.",
)
@jobs_option
@quiet_option
def predict(
    model: Path,
    images: tuple[Path, ...],
    form: str,
    as_json: bool,
    review: int | None,
    n_jobs: int | None,
    quiet: bool,
) -> None:
    """Classify new images.

    MODEL is a file that fit wrote; IMAGES are files, or folders at any depth. `known` is 0 for
    an image unlike anything that was labelled and 1 for a very typical one; below the model's
    threshold it is called unknown. `flagged` names the class of --max-miss where the image
    reaches its threshold. A bad image is listed with the reason; the exit
    code is 1 only if none could be used.
    """
    from handful.cli.printing import print_rows
    from handful.jobs import predict as job

    rows = job(model, images, n_jobs=n_jobs, quiet=quiet)
    if not print_rows(rows, "json" if as_json else form, review=review):
        raise click.exceptions.Exit(1)
