"""Options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from handful.jobs import BackboneChoice, Cluster, ClusterResult

Command = TypeVar("Command", bound=Callable[..., Any])

_LISTED = 20  # unusable images that are printed
_OF_RAY = ("address", "workers", "cores", "gpus", "shard_size")
_OF_LOCAL = ("project_dir", "n_jobs", "form", "as_json", "review")
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
                "--weights",
                type=file,
                help="Weights for a timm or clip backbone (.safetensors or .pth).",
            ),
            click.option("--download", is_flag=True, help="Allow fetching missing weights."),
            click.option(
                "--size",
                type=click.IntRange(16, 4096),
                help="Input side in pixels. [default: the weights' own]",
            ),
            crop_option,
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


def cluster_options(command: Command) -> Command:
    """Add the options of an engine; the command gets them as keyword arguments for `cluster_choice`."""
    for option in reversed([
        click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True,
                     help="ray: many machines; IMAGES and OUTPUT may be s3:// or gs://."),
        click.option("--address", help="Of a Ray cluster. [default: Ray is started on this machine alone]"),
        click.option("--workers", type=click.IntRange(1), help="At most so many. [default: what the cores allow]"),
        click.option("--cores", type=click.IntRange(1), default=1, show_default=True, help="A worker's threads."),
        click.option("--gpus", type=click.FloatRange(0), default=0.0, show_default=True,
                     help="A worker's GPUs, or part of one."),
        click.option("--shard-size", type=click.IntRange(1), default=1024, show_default=True,
                     help="About how many images a file of the output at most."),
    ]):  # fmt: skip
        command = option(command)
    return command


def cluster_choice(given: dict[str, Any]) -> Cluster | None:
    """Take the options of `cluster_options` out of those given; None is this process.

    An option that says nothing to the engine is refused.
    """
    from handful.jobs import Cluster

    engine = given.pop("engine")
    own = {name: given.pop(name) for name in _OF_RAY}
    context = click.get_current_context()
    said = click.core.ParameterSource.COMMANDLINE
    deaf = _OF_RAY if engine == "local" else _OF_LOCAL
    for option in context.command.params:
        if option.name in deaf and context.get_parameter_source(option.name) is said:
            raise click.UsageError(f"{option.opts[-1]} does not go with --engine {engine}.")
    return Cluster(**own) if engine == "ray" else None


def local_place(place: str) -> Path:
    """Return the path of images that this process is to read."""
    if "://" in place:
        raise click.UsageError(f"{place!r} is not a path on this machine. Add --engine ray.")
    return Path(place)


def echo_cluster(result: ClusterResult, output: str, *, quiet: bool) -> None:
    """Print what a run on a cluster did."""
    for path, reason in () if quiet else list(result.failed.items())[:_LISTED]:
        click.echo(f"{path}: {reason}", err=True)
    click.echo(
        f"{result.done} images done, {len(result.failed)} unusable (_failed.csv); "
        f"{result.made} shards made, {result.kept} were there, in {output}"
    )


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


crop_option = click.option(
    "--crop",
    metavar="L,T,R,B",
    callback=_box,
    help="Look only at this part, in fractions: 0.25,0,0.75,1.",
)


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
