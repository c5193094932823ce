"""``handful predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from handful.cli.options import (
    cluster_choice,
    cluster_options,
    echo_cluster,
    file,
    jobs_option,
    local_place,
    quiet_option,
)


@click.command()
@click.argument("model", type=file)
@click.argument("images", nargs=-1, required=True)
@click.option("-o", "--output", help="The folder for the answers of --engine ray.")
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
    help="List only N images to label next: those called unknown, then the least sure.",
)
@jobs_option
@cluster_options
@quiet_option
def predict(
    model: Path, images: tuple[str, ...], output: str | None, form: str,
    as_json: bool, review: int | None, n_jobs: int | None, quiet: bool, **given: Any,
) -> None:  # fmt: skip
    """Classify new images.

    MODEL is a file that fit wrote; IMAGES are files, or folders at any depth. `known` is 0 for
    an image unlike anything that was labelled and 1 for a very typical one; below the model's
    threshold it is called unknown. `flagged` names the class of --max-miss where the image
    reaches its threshold. A bad image is listed with the reason; the exit
    code is 1 only if none could be used. With --engine ray IMAGES is one folder or one .parquet or
    .csv file with a column path, and the answers are parquet files.
    """
    from handful.cli.printing import print_rows
    from handful.jobs import predict as job

    cluster = cluster_choice(given)
    if (cluster is None) != (output is None) or (cluster and len(images) > 1):
        raise click.UsageError("--engine ray takes one place of images and --output FOLDER.")
    if cluster is not None and output is not None:
        from handful.jobs import predict_on_ray

        result = predict_on_ray(model, images[0], output, cluster=cluster, quiet=quiet)
        return echo_cluster(result, output, quiet=quiet)
    rows = job(model, [local_place(place) for place in images], n_jobs=n_jobs, quiet=quiet)
    if not print_rows(rows, "json" if as_json else form, review=review):
        raise click.exceptions.Exit(1)
    return None
