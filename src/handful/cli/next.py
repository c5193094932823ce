"""``handful next``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from handful.cli.options import (
    backbone_choice,
    backbone_options,
    images_argument,
    project_option,
    quiet_option,
)


@click.command("next")
@images_argument
@click.option(
    "-n", "n", type=click.IntRange(1), default=20, show_default=True, help="Images wanted."
)
@click.option(
    "--strategy",
    default="default",
    show_default=True,
    help="How to choose: typical images first, then those the model is unsure of; or another rule.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "label-studio"]),
    default="table",
    show_default=True,
    help="Table, CSV, JSON, or tasks for Label Studio.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Random seed.")
@backbone_options
@project_option
@quiet_option
def next_images(
    images: Path,
    n: int,
    strategy: str,
    form: str,
    as_json: bool,
    seed: int,
    project_dir: Path | None,
    quiet: bool,
    **backbone: Any,
) -> None:
    """List the images whose labels would help most.

    It works from no label on. `suggestion` is what a model fitted on the labels so far thinks,
    `q` the probability with which an image was drawn, where it was drawn. Tasks
    for Label Studio carry the suggestions as predictions; what it exports comes back with
    `handful import`.
    """
    from handful.cli.printing import print_questions
    from handful.jobs import next_images as job

    questions = job(
        images, n, strategy=strategy, backbone=backbone_choice(backbone), random_state=seed, project_dir=project_dir,
        quiet=quiet,
    )  # fmt: skip
    print_questions(questions, "json" if as_json else form, strategy)
