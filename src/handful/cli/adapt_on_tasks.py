"""``handful adapt prototypical`` and its like: backbones trained task by task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from handful.cli.adapt import adapt, budget_of, say
from handful.cli.options import (
    backbone_choice,
    crop_option,
    images_argument,
    json_option,
    project_option,
    quiet_option,
)

__all__ = ["adapt"]  # with the commands of this file

Command = TypeVar("Command", bound=Callable[..., Any])
_FIELDS = (
    "budget", "steps", "way", "shot", "query", "tasks", "rotations", "rate", "scratch", "validation_share",
    "validation_way", "anyway",
)  # fmt: skip


def _common(*, way: int, query: int, backbone: str = "conv4") -> Callable[[Command], Command]:
    """Add the options that every method has."""

    def add(command: Command) -> Command:
        for option in reversed([
            images_argument,
            click.option("--way", type=click.IntRange(2), default=way, show_default=True,
                         help="Classes of a task in training."),
            click.option("--shot", type=click.IntRange(1), default=1, show_default=True,
                         help="Images of a class that are given."),
            click.option("--query", type=click.IntRange(1), default=query, show_default=True,
                         help="Images of a class that are asked."),
            click.option("--tasks", type=click.IntRange(1), help="Tasks a step. [default: the method's]"),
            click.option("--rotations", is_flag=True,
                         help="Count turned images as classes of their own, for drawings and the like."),
            click.option("--budget", default="10m", show_default=True, callback=budget_of, metavar="BUDGET",
                         help="Of training: 90s, 10m, 2h, 5000images or 20epochs."),
            click.option("--steps", type=click.IntRange(1), help="Number of steps, in place of a budget."),
            click.option("--rate", type=click.FloatRange(0, min_open=True),
                         help="Highest learning rate. [default: the method's]"),
            click.option("--backbone", "name", default=backbone, show_default=True,
                         help="conv4 or conv4_maps (random weights), or a name of `handful backbones`."),
            click.option("--weights", type=click.Path(path_type=Path, dir_okay=False),
                         help="Weights for a timm backbone (.safetensors or .pth)."),
            click.option("--download", is_flag=True, help="Allow fetching missing timm weights."),
            click.option("--size", type=click.IntRange(16, 4096),
                         help="Input side in pixels. [default: conv4 28, else the weights' own]"),
            crop_option,
            click.option("--scratch", is_flag=True, help="Begin with random weights instead of pretrained ones."),
            click.option("--validation-share", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.2,
                         show_default=True, help="Share of the classes that choose the best state, where the "
                         "folder has no validation split of other classes."),
            click.option("--validation-way", type=click.IntRange(2), default=5, show_default=True,
                         help="Classes of a task by which the best state is chosen."),
            click.option("--anyway", is_flag=True, help="Keep a backbone that measuring shows to be no better."),
            click.option("--device", default="auto", show_default=True, help="cpu, cuda, mps or auto."),
            click.option("--precision", type=click.Choice(["32-true", "16-mixed", "bf16-mixed"]), default="32-true",
                         show_default=True, help="Mixed precision is for GPUs."),
            click.option("--tensorboard", is_flag=True, help="Write the log for TensorBoard as well."),
            click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
                         help="The same seed gives the same result."),
            project_option, json_option, quiet_option,
        ]):  # fmt: skip
            command = option(command)
        return command

    return add


def _run(
    method: str, images: Path, own: dict[str, Any], *, as_json: bool, quiet: bool, **given: Any
) -> None:
    from handful.jobs import EpisodicTraining, Hardware, adapt_on_tasks

    hardware = Hardware(
        given.pop("device"), precision=given.pop("precision"), tensorboard=given.pop("tensorboard")
    )
    settings = EpisodicTraining(
        **{key: given.pop(key) for key in _FIELDS}, options=own, hardware=hardware
    )
    seed, project_dir = given.pop("seed"), given.pop("project_dir")
    result = adapt_on_tasks(
        method, images, backbone=backbone_choice(given), settings=settings, random_state=seed,
        project_dir=project_dir, quiet=quiet or as_json,
    )  # fmt: skip
    say(result, images, as_json=as_json)


@adapt.command()
@_common(way=20, query=5)
@click.option("--cosine", is_flag=True, help="Compare by cosine, for pretrained backbones (P>M>F).")
def prototypical(images: Path, cosine: bool, **given: Any) -> None:
    """Learn task by task: the nearest class mean is right (Prototypical networks)."""
    _run("prototypical", images, {"cosine": cosine}, **given)


@adapt.command()
@_common(way=20, query=5)
@click.option(
    "--full-context", is_flag=True, help="Let support and queries read the whole support (LSTMs)."
)
@click.option("--temperature", type=click.FloatRange(0, min_open=True),
              help="Divides cosines; the paper's is 1. [default: learned]")  # fmt: skip
def matching(images: Path, full_context: bool, temperature: float | None, **given: Any) -> None:
    """Learn task by task: a vote of the images given (Matching networks)."""
    own = {"full_context": full_context, "temperature": temperature}
    _run("matching", images, own, **given)


@adapt.command()
@_common(way=20, query=5, backbone="conv4_maps")
def relation(images: Path, **given: Any) -> None:
    """Learn task by task how to compare maps (Relation networks).

    The exported backbone lacks the comparison, which is beside it in method.safetensors.
    """
    _run("relation", images, {}, **given)


_batch_norm = click.option(
    "--batch-norm", type=click.Choice(["inductive", "transductive", "running"]), default="inductive", show_default=True,
    help="Whose statistics normalise what is asked: of the images given, of all that are asked together, or of "
    "pretraining.")  # fmt: skip


@adapt.command()
@_common(way=5, query=5, backbone="conv4_strides")
@click.option(
    "--inner-steps",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="On the images given.",
)
@click.option("--inner-rate", type=click.FloatRange(0, min_open=True), default=0.4, show_default=True,
              help="Rate of these steps.")  # fmt: skip
@click.option(
    "--test-steps", type=click.IntRange(1), help="Steps when it is used. [default: --inner-steps]"
)
@click.option("--first-order", is_flag=True, help="Cheaper: no gradients of gradients.")
@click.option("--anil", is_flag=True, help="Only the last layer takes the inner steps.")
@_batch_norm
def maml(
    images: Path, inner_steps: int, inner_rate: float, test_steps: int | None, first_order: bool, anil: bool,
    batch_norm: str, **given: Any,
) -> None:  # fmt: skip
    """Learn task by task where a few gradient steps should begin (MAML, ANIL).

    The exported backbone is the beginning; adapting it to a task is done in Python.
    """
    own = {"inner_steps": inner_steps, "inner_rate": inner_rate, "test_steps": test_steps,
           "first_order": first_order, "anil": anil, "batch_norm": batch_norm}  # fmt: skip
    _run("maml", images, own, **given)


@adapt.command()
@_common(way=20, query=9, backbone="conv4_strides")
@click.option(
    "--inner-steps",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="On each training task.",
)
@click.option(
    "--inner-batch",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Images of these steps.",
)
@click.option("--inner-optimizer", type=click.Choice(["sgd", "adam"]), default="sgd", show_default=True,
              help="Of these steps; the paper's Adam needs many more of training.")  # fmt: skip
@click.option("--inner-rate", type=click.FloatRange(0, min_open=True),
              help="Rate of these steps, 0.4 (sgd) or 0.001 (adam) by default.")  # fmt: skip
@click.option(
    "--test-steps",
    type=click.IntRange(1),
    default=30,
    show_default=True,
    help="Steps when it is used.",
)
@_batch_norm
def reptile(images: Path, **given: Any) -> None:
    """Learn task by task, towards where training on each task leads (Reptile)."""
    names = (
        "inner_steps",
        "inner_batch",
        "inner_optimizer",
        "inner_rate",
        "test_steps",
        "batch_norm",
    )
    _run("reptile", images, {name: given.pop(name) for name in names}, **given)
