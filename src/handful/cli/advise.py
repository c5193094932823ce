"""``handful advise``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from handful.cli.options import (
    backbone_choice,
    backbone_options,
    echo_json,
    images_argument,
    json_option,
    project_option,
    quiet_option,
)


def time_budget(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """Parse ``30m``, a budget in time."""
    from handful.jobs import Budget

    if value is None:
        return None
    try:
        budget = Budget.parse(value)
    except ValueError as error:
        raise click.BadParameter("expected a time above 0, such as 90s, 30m or 2h") from error
    if budget.unit != "seconds":
        raise click.BadParameter(f"expected a time, such as 90s, 30m or 2h. Got {value!r}")
    return budget


@click.command()
@images_argument
@click.option("--budget", callback=time_budget, metavar="TIME",
              help="Such as 30m or 2h: plans that take longer are ruled out.")  # fmt: skip
@click.option("--classes", metavar="A,B,C|FILE.toml",
              help="Classes by name, where no label names them.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="The same seed gives the same result.")  # fmt: skip
@backbone_options
@project_option
@json_option
@quiet_option
def advise(
    images: Path, budget: Any, classes: str | None, seed: int, project_dir: Path | None,
    as_json: bool, quiet: bool, **backbone: Any,
) -> None:  # fmt: skip
    """Say which way to a classifier pays for these images.

    Looks at images, labels and the machine, tries on the labels what takes seconds, forecasts the
    rest from benchmarks on other image sets, and ranks the plans: what each gives and costs, on
    which evidence, and the command. What the data or the machine rule out is named with the reason.
    """
    from handful.cli.printing import print_advice
    from handful.jobs import advise as job
    from handful.jobs import read_classes

    advice = job(
        images, classes=read_classes(classes) if classes is not None else None, budget=budget,
        backbone=backbone_choice(backbone), random_state=seed, project_dir=project_dir, quiet=quiet or as_json,
    ).as_dict()  # fmt: skip
    echo_json(advice) if as_json else print_advice(advice)
