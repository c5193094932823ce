"""``handful adapt contrastive-text``: an image tower and a text tower, trained on captions."""

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

_FIELDS = ("tower", "weights", "download", "scratch", "size", "frozen_text", "dim", "width", "layers", "loss",
           "batch_size", "chunk", "rate", "budget")  # fmt: skip


@adapt.command("contrastive-text")
@images_argument
@click.option("--captions", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help="CSV with the columns path and caption.")  # fmt: skip
@click.option("--tower", default="efficientnet_lite0", show_default=True, metavar="NAME",
              help="The image tower: the packaged network or timm:NAME.")  # fmt: skip
@click.option("--weights", type=click.Path(path_type=Path, dir_okay=False),
              help="Weights for a timm tower (.safetensors or .pth).")  # fmt: skip
@click.option("--download", is_flag=True, help="Allow fetching missing timm weights.")
@click.option("--scratch", is_flag=True, help="Begin with random weights instead of pretrained ones.")  # fmt: skip
@click.option("--size", type=click.IntRange(16, 1024), default=96, show_default=True,
              help="Side of the images in pixels.")  # fmt: skip
@click.option("--frozen-text", is_flag=True,
              help="Keep the packaged text encoder as it is; the image tower alone learns (LiT).")  # fmt: skip
@click.option("--loss", type=click.Choice(["clip", "siglip"]), default="clip", show_default=True,
              help="Softmax over the batch, or a sigmoid for each pair.")  # fmt: skip
@click.option("--dim", type=click.IntRange(1), default=128, show_default=True,
              help="Length of the common vectors.")  # fmt: skip
@click.option("--width", type=click.IntRange(64), default=128, show_default=True,
              help="Of the text transformer, a multiple of 64.")  # fmt: skip
@click.option("--layers", type=click.IntRange(1), default=2, show_default=True,
              help="Of the text transformer.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(2), default=256, show_default=True, help="Pairs a step.")  # fmt: skip
@click.option("--chunk", type=click.IntRange(1),
              help="Pairs at once in memory, for batches beyond it (gradient caching).")  # fmt: skip
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=1e-3, show_default=True,
              help="Highest learning rate.")  # fmt: skip
@click.option("--budget", default="10m", show_default=True, callback=budget_of, metavar="BUDGET",
              help="Of training: 90s, 10m, 2h, 5000images or 20epochs.")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, mps or auto.")
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="How many.")
@click.option("--precision", type=click.Choice(["32-true", "16-mixed", "bf16-mixed"]), default="32-true",
              show_default=True, help="Mixed precision is for GPUs.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="The same seed gives the same result.")  # fmt: skip
@project_option
@json_option
@quiet_option
def contrastive_text(
    images: Path, captions: Path, as_json: bool, quiet: bool, **given: Any
) -> None:
    """Learn from captions which text belongs to an image (CLIP, SigLIP, LiT).

    What is saved is open_clip's own format. A command that was stopped goes on when it is given again.
    """
    from handful.jobs import Hardware, Pairing
    from handful.jobs import contrastive_text as job

    hardware = Hardware(given["device"], given["devices"], given["precision"])
    settings = Pairing(**{name: given[name] for name in _FIELDS}, hardware=hardware)
    result = job(
        images, captions, settings=settings, random_state=given["seed"], project_dir=given["project_dir"],
        quiet=quiet or as_json,
    )  # fmt: skip
    if as_json:
        echo_json({"run": str(result.folder), **result.facts})
        return
    click.echo(f"{result.sentence}\n\nThe run:  {result.folder}")
