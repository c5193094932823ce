"""Options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from handful.jobs import BackboneChoice

Command = TypeVar("Command", bound=Callable[..., Any])

METHODS = (
    "auto",
    "linear_probe",
    "prototypes",
    "nearest_neighbours",
    "spreading_probe",
    "label_spreading",
    "self_training",
)

folder = click.Path(path_type=Path, file_okay=False)
file = click.Path(path_type=Path, dir_okay=False)

images_argument = click.argument("images", type=folder)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
jobs_option = click.option(
    "--jobs", "n_jobs", type=click.IntRange(1), help="Threads. [default: the usable cores]"
)
project_option = click.option(
    "--project",
    "project_dir",
    type=folder,
    help="Where the state is kept. [default: IMAGES/.handful]",
)


def backbone_options(command: Command) -> Command:
    """Add the options of a backbone; the command gets them as keyword arguments for `backbone_choice`."""
    for option in reversed(
        [
            click.option(
                "--backbone",
                "name",
                default="efficientnet_lite0",
                show_default=True,
                help="A name of `handful backbones`.",
            ),
            click.option(
                "--weights", type=file, help="Weights for a timm backbone (.safetensors or .pth)."
            ),
            click.option("--download", is_flag=True, help="Allow fetching missing timm weights."),
            click.option(
                "--size",
                type=click.IntRange(16, 4096),
                help="Input side in pixels. [default: the weights' own]",
            ),
            click.option(
                "--crop",
                metavar="L,T,R,B",
                callback=_box,
                help="Look only at this part, in fractions: 0.25,0,0.75,1.",
            ),
            click.option(
                "--tiles",
                type=click.IntRange(1, 16),
                default=1,
                show_default=True,
                help="Look at N×N squares, for small defects.",
            ),
        ]
    ):
        command = option(command)
    return command


def backbone_choice(options: dict[str, Any]) -> BackboneChoice:
    """Return the choice that `backbone_options` describe."""
    from handful.jobs import BackboneChoice

    return BackboneChoice(**options)


def echo_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False))


def _box(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[float, ...] | None:
    if value is None:
        return None
    try:
        box = tuple(float(part) for part in value.split(","))
    except ValueError:
        box = ()
    if len(box) != 4 or not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1):
        raise click.BadParameter(
            "expected left,top,right,bottom as fractions, such as 0.25,0,0.75,1"
        )
    return box


def class_rate(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[str, float] | None:
    """Parse ``CLASS=0.01``."""
    if value is None:
        return None
    name, _, rate = value.rpartition("=")
    try:
        number = float(rate)
    except ValueError:
        number = -1.0
    if not name or not 0 < number < 1:
        raise click.BadParameter(
            "expected CLASS=RATE with a rate between 0 and 1, such as crack=0.01"
        )
    return name, number
