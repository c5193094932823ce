"""``handful fit``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from handful.cli.advise import time_budget
from handful.cli.options import (
    METHODS,
    backbone_choice,
    backbone_options,
    class_rate,
    echo_json,
    file,
    images_argument,
    json_option,
    project_option,
    quiet_option,
)  # fmt: skip


@click.command()
@images_argument
@click.option(
    "-o",
    "--output",
    type=file,
    help="The model file, replaced if there. [default: model.handful, not replaced if of another folder]",
)
@click.option(
    "--classes",
    metavar="A,B,C|FILE.toml",
    help="Classes by name, with prompts and descriptions in a file. Without any label the classifier is made "
    "from the names and its accuracy predicted; with some, names and labels are blended.",
)
@click.option(
    "--template",
    "templates",
    multiple=True,
    metavar="TEXT",
    help="How to speak of a class, with {} for its name. Repeatable. [default: '{}', 'a photo of a {}']",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="auto",
    show_default=True,
    help="The last three learn from unlabelled images too. Auto compares the first four on the same folds, "
    "the fourth where unlabelled images promise a gain.",
)
@click.option("--budget", callback=time_budget, metavar="TIME",
              help="Carry out the plan that `handful advise` ranks first within 30m or 2h, training included "
              "where the extra train is installed.")  # fmt: skip
@click.option("--max-unknown", type=click.FloatRange(0, 1, max_open=True), default=0.05, show_default=True,
              help="Share of ordinary images that may wrongly be called unknown.")  # fmt: skip
@click.option(
    "--max-miss",
    metavar="CLASS=RATE",
    callback=class_rate,
    help="Choose the threshold at which CLASS is missed at most this often.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="The same seed gives the same result.",
)
@backbone_options
@project_option
@json_option
@quiet_option
def fit(
    images: Path, output: Path, classes: str | None, templates: tuple[str, ...], method: str,
    budget: Any, max_unknown: float, max_miss: tuple[str, float] | None, seed: int, project_dir: Path | None,
    as_json: bool, quiet: bool, **backbone: Any,
) -> None:  # fmt: skip
    """Make a classifier from a folder.

    IMAGES is a folder of class folders, or any folder with --classes. New images are embedded, the
    methods compared, the accuracy measured with an interval, and one model file written. Run it
    again after labelling more: only what changed is computed.
    """
    from handful.cli.printing import print_summary
    from handful.jobs import Thresholds, fit_within, read_classes
    from handful.jobs import fit as job

    if templates and classes is None:
        raise click.UsageError("--template goes with --classes.")
    if budget is not None and method != "auto":
        raise click.UsageError("--budget chooses the method. Leave out --method.")
    run = partial(job, method=method) if budget is None else partial(fit_within, budget)
    result = run(
        images, output, classes=read_classes(classes, templates) if classes is not None else None,
        backbone=backbone_choice(backbone), thresholds=Thresholds(max_unknown, max_miss),
        random_state=seed, project_dir=project_dir, quiet=quiet or as_json,
    )  # fmt: skip
    if as_json:
        echo_json({"model": str(result.bundle), "report": str(result.report_html), **result.report})
    else:
        print_summary(result)
