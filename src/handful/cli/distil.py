"""``handful adapt distil``: a small network that answers as a model file does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from handful.cli.adapt import adapt, budget_of
from handful.cli.options import (
    echo_json,
    images_argument,
    json_option,
    project_option,
    quiet_option,
)

__all__ = ["adapt"]  # with the command of this file

_OPTIONS = ("threshold", "temperature", "scale", "randaugment")
_FIELDS = ("student", "weights", "download", "scratch", "size", "budget", "batch_size", "rate",
           "labelled_share")  # fmt: skip


@adapt.command()
@images_argument
@click.option("--teacher", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help="A model file of `handful fit`.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
              help="Where else to write the student's model file.")  # fmt: skip
@click.option("--student", default="efficientnet_lite0#12", show_default=True, metavar="NAME",
              help="timm:NAME or a name of `handful backbones`; NAME#K is its first K blocks.")  # fmt: skip
@click.option("--weights", type=click.Path(path_type=Path, dir_okay=False),
              help="Weights for a timm student (.safetensors or .pth).")  # fmt: skip
@click.option("--download", is_flag=True, help="Allow fetching missing timm weights.")
@click.option("--scratch", is_flag=True, help="Begin with random weights instead of pretrained ones.")  # fmt: skip
@click.option("--size", type=click.IntRange(16, 1024), default=128, show_default=True,
              help="Side in pixels of what the student sees.")  # fmt: skip
@click.option("--budget", default="10m", show_default=True, callback=budget_of, metavar="BUDGET",
              help="Of training: 90s, 10m, 2h, 5000images or 20epochs.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(2), default=64, show_default=True, help="Images a step.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=1e-3, show_default=True,
              help="Highest learning rate.")  # fmt: skip
@click.option("--labelled-share", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.25,
              show_default=True, help="Share of the images of a step that have a label of their own.")  # fmt: skip
@click.option("--threshold", type=click.FloatRange(0, 1, max_open=True), default=0.3, show_default=True,
              help="Lowest confidence of a guess that is learnt.")  # fmt: skip
@click.option("--temperature", type=click.FloatRange(0, min_open=True),
              help="Divides the teacher's logits. [default: makes it as sure as it is right]")  # fmt: skip
@click.option("--scale", type=click.FloatRange(0, 1, min_open=True), default=0.6, show_default=True,
              help="Smallest share of an image's area in a view.")  # fmt: skip
@click.option("--randaugment", type=click.IntRange(0, 30), default=0, show_default=True,
              help="Strength of further changes to the views, 0 for none.")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, mps or auto.")
@click.option("--precision", type=click.Choice(["32-true", "16-mixed", "bf16-mixed"]), default="32-true",
              show_default=True, help="Mixed precision is for GPUs.")  # fmt: skip
@click.option("--tensorboard", is_flag=True, help="Write the log for TensorBoard as well.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="The same seed gives the same result.")  # fmt: skip
@project_option
@json_option
@quiet_option
def distil(
    images: Path, teacher: Path, output: Path | None, as_json: bool, quiet: bool, **given: Any
) -> None:
    """Teach a small network what a model file says of unlabelled images.

    Both are measured on the test split of the folder, which neither learns from. A command that
    was stopped goes on when it is given again.
    """
    from handful.jobs import Distillation, Hardware
    from handful.jobs import distil as job

    hardware = Hardware(
        given["device"], precision=given["precision"], tensorboard=given["tensorboard"]
    )
    options = {name: given[name] for name in _OPTIONS}
    settings = Distillation(
        **{name: given[name] for name in _FIELDS}, options=options, hardware=hardware
    )
    result = job(
        images, teacher, output, settings=settings, random_state=given["seed"], project_dir=given["project_dir"],
        quiet=quiet or as_json,
    )  # fmt: skip
    if as_json:
        echo_json({"run": str(result.folder), "model": str(result.bundle), **result.facts})
        return
    click.echo(f"{result.sentence}\n\nUse it:  handful predict {result.bundle} PHOTOS")
