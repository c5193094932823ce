"""``handful adapt``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

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

if TYPE_CHECKING:
    from handful.jobs import AdaptResult

Command = TypeVar("Command", bound=Callable[..., Any])


def budget_of(ctx: click.Context, parameter: click.Parameter, value: str) -> Any:
    """Parse ``10m``."""
    from handful.jobs import Budget

    try:
        return Budget.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _common(command: Command) -> Command:
    """Add the options that every method has."""
    for option in reversed([
        images_argument,
        click.option("--budget", default="10m", show_default=True, callback=budget_of, metavar="BUDGET",
                     help="Of training: 90s, 10m, 2h, 5000images or 20epochs."),
        click.option("--train-size", type=click.IntRange(16, 1024),
                     help="Side in pixels of what the network sees in training. [default: finetune 128, others 96]"),
        click.option("--batch-size", type=click.IntRange(1), help="Images a step. [default: the method's]"),
        click.option("--rate", type=click.FloatRange(0, min_open=True),
                     help="Highest learning rate. [default: the method's]"),
        click.option("--scratch", is_flag=True, help="Begin with random weights instead of pretrained ones."),
        click.option("--anyway", is_flag=True, help="Keep a backbone that measuring shows to be no better."),
        click.option("--device", default="auto", show_default=True, help="cpu, cuda, mps or auto."),
        click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="How many."),
        click.option("--precision", type=click.Choice(["32-true", "16-mixed", "bf16-mixed"]), default="32-true",
                     show_default=True, help="Mixed precision is for GPUs."),
        click.option("--tensorboard", is_flag=True, help="Write the log for TensorBoard as well."),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
                     help="The same seed gives the same result."),
        backbone_options, project_option, json_option, quiet_option,
    ]):  # fmt: skip
        command = option(command)
    return command


def _views(*, strong: bool) -> Callable[[Command], Command]:
    """Add the options of the views of a method without labels."""

    def add(command: Command) -> Command:
        options = [
            click.option("--scale", type=click.FloatRange(0, 1, min_open=True),
                         help="Smallest share of an image's area in a view. [default: the method's]"),
            click.option("--turn", is_flag=True, help="Turn views by quarters, for images without an upright."),
            click.option("--jitter", type=click.FloatRange(0, 1),
                         help="Strength of the change of colours. [default: 0.5]"),
            click.option("--grayscale", type=click.FloatRange(0, 1), help="Share of grey views. [default: 0.2]"),
        ]  # fmt: skip
        for option in reversed(options if strong else options[:2]):
            command = option(command)
        return command

    return add


def _semi_supervised(command: Command) -> Command:
    """Add the options of methods that learn from labelled and unlabelled images."""
    for option in reversed([
        click.option("--labelled-share", type=click.FloatRange(0, 1, min_open=True, max_open=True),
                     help="Share of the images of a step that have a label. [default: consistency 0.5, else 0.25]"),
        click.option("--scale", type=click.FloatRange(0, 1, min_open=True),
                     help="Smallest share of an image's area in a view. [default: the method's]"),
        click.option("--randaugment", type=click.IntRange(1, 30), default=10, show_default=True,
                     help="Strength of the changes that the network is to see through."),
        click.option("--towards", type=click.FloatRange(0, 1, min_open=True),
                     help="Weight of the result in its average with the start. [default: 0.5, from 50 labels a "
                     "class 1]"),
        click.option("--folds", type=click.IntRange(1, 4),
                     help="Quarters of the labels to measure on, one by one. [default: 1, under 100 labels 4]"),
    ]):  # fmt: skip
        command = option(command)
    return command


def _own(given: dict[str, Any]) -> dict[str, Any]:
    """Take the options of the views out of those given."""
    names = tuple(n for n in ("scale", "jitter", "grayscale", "turn") if n in given)
    return {name: value for name, value in _chosen(given, names).items() if value is not False}


def _chosen(given: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Take the options with these names out of those given, without those that were left out."""
    own = {name: given.pop(name) for name in names}
    return {name: value for name, value in own.items() if value is not None}


def _run(
    method: str, images: Path, own: dict[str, Any], *, as_json: bool, quiet: bool, **given: Any
) -> None:
    from handful.jobs import Adaptation, Hardware
    from handful.jobs import adapt as job

    hardware = Hardware(
        given.pop("device"),
        given.pop("devices"),
        given.pop("precision"),
        tensorboard=given.pop("tensorboard"),
    )
    seed, project_dir = given.pop("seed"), given.pop("project_dir")
    fields = ("budget", "train_size", "batch_size", "rate", "scratch", "anyway", "folds")
    settings = Adaptation(
        **{key: given.pop(key) for key in fields if key in given}, options=own, hardware=hardware
    )
    result = job(
        method, images, backbone=backbone_choice(given), settings=settings, random_state=seed,
        project_dir=project_dir, quiet=quiet or as_json,
    )  # fmt: skip
    say(result, images, as_json=as_json)


def say(result: AdaptResult, images: Path, *, as_json: bool) -> None:
    """Print what came of a training."""
    if as_json:
        echo_json({"run": str(result.folder), **result.facts})
        return
    click.echo(result.sentence)
    if result.facts["kept"]:
        click.echo(f"\nUse it:  handful fit {images} --backbone {result.folder}")
    else:
        click.echo("The backbone it came from stays the one to use; --anyway keeps this one too.")


@click.group()
def adapt() -> None:
    """Train a better backbone on your images.

    \b
    finetune      learn from the labels
    consistency   learn from labels and unlabelled images: one answer to all views
    noisy-student learn from labels and a teacher's guesses
    rotation      learn without labels which way is up
    masked        learn without labels to fill in what is hidden
    contrastive   learn without labels to tell each image from all others
    predictive    the same without comparing, for small batches
    instance      the same with one class an image, for few images

    \b
    prototypical  learn task by task: the nearest class mean
    matching      the same: a vote of the images given
    relation      the same: a learned comparison
    maml          the same: where a few gradient steps should begin
    reptile       the same, at less cost

    \b
    distil        teach a small network what a model file knows
    contrastive-text  learn from captions which text belongs to an image

    \b
    check         say first whether these images suit the methods without labels
    cut           find out how many blocks to keep as they are

    What is trained is measured against the backbone it came from, on labels it did not learn from,
    and refused when it is no better. A command that was stopped goes on when it is given again.
    """  # noqa: D301


@adapt.command()
@_common
@click.option("--train", default="all", show_default=True, metavar="WHAT",
              help="all, last:K blocks, norm_and_bias, lora, lora:RANK or head.")  # fmt: skip
@click.option(
    "--naive", is_flag=True, help="Begin with an untrained head instead of a linear probe."
)
@click.option(
    "--gradual", is_flag=True, help="Let blocks move one after the other, the last first."
)
@click.option("--rate-decay", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True,
              help="Factor of the rate from layer to layer towards the input.")  # fmt: skip
@click.option("--towards",
    type=click.FloatRange(0, 1, min_open=True),
    help="Weight of the result in its average with the start. [default: 0.5, from 50 labels a class 1]")  # fmt: skip
@click.option("--no-augment", is_flag=True,
              help="No crops and mirror images. With last:K the blocks below are computed once only.")  # fmt: skip
@click.option(
    "--mixup", type=click.FloatRange(0), default=0.0, show_default=True, help="0 for none."
)
@click.option(
    "--cutmix", type=click.FloatRange(0), default=0.0, show_default=True, help="0 for none."
)
@click.option("--folds", type=click.IntRange(1, 4),
              help="Quarters of the labels to measure on, one by one. [default: 1, under 100 labels 4]")  # fmt: skip
def finetune(
    images: Path, train: str, naive: bool, gradual: bool, no_augment: bool, rate_decay: float, towards: float | None,
    mixup: float, cutmix: float, **given: Any,
) -> None:  # fmt: skip
    """Learn from the labels: linear probe first, then all weights a little.

    A quarter of the labels is held out and measured on; if it helped, all labels are trained on.
    """
    own = {"train": train, "probe_first": not naive, "gradual": gradual, "rate_decay": rate_decay,
           "towards": towards, "mixup": mixup, "cutmix": cutmix}  # fmt: skip
    if no_augment:
        own |= {"scale": 1.0, "flip": False}
    _run("finetune", images, own, **given)


@adapt.command()
@_common
@click.option("--variant", default="softmatch", show_default=True, metavar="NAME",
              help="pseudo-label, mean-teacher, fixmatch, flexmatch, freematch, softmatch or adamatch.")  # fmt: skip
@click.option("--threshold", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.95,
              show_default=True, help="Confidence that fixmatch and flexmatch ask for.")  # fmt: skip
@_semi_supervised
def consistency(images: Path, **given: Any) -> None:
    """Learn from labels and unlabelled images at once: the answer to a clean view teaches a changed one.

    Measured as finetune is: by copies that saw neither the held-out labels nor those images.
    """
    names = ("variant", "threshold", "labelled_share", "scale", "randaugment", "towards")
    _run("consistency", images, _chosen(given, names), **given)


@adapt.command("noisy-student")
@_common
@click.option("--generations", type=click.IntRange(1, 2), default=1, show_default=True,
              help="With 2 a quarter of the labels decides whether the second student is kept.")  # fmt: skip
@click.option("--threshold", type=click.FloatRange(0, 1, max_open=True), default=0.3, show_default=True,
              help="Lowest confidence of a guess that is learnt.")  # fmt: skip
@click.option("--hard", is_flag=True, help="Learn the likeliest class, not the probabilities.")
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), default=0.5, show_default=True,
              help="Share of a vector that the head does not see.")  # fmt: skip
@click.option("--stochastic-depth", type=click.FloatRange(0, 1, max_open=True), default=0.2, show_default=True,
              help="Share of images for which the last block is left out.")  # fmt: skip
@click.option("--student", metavar="NAME", help="A larger network. [default: the backbone's own]")
@_semi_supervised
def noisy_student(images: Path, hard: bool, **given: Any) -> None:
    """Learn from labels and a teacher's guesses of unlabelled images, with noise (Noisy Student).

    The first teacher is the spreading probe. Its guesses stand in pseudo_labels.jsonl of the run.
    """
    names = ("generations", "threshold", "dropout", "stochastic_depth", "student", "labelled_share", "scale",
             "randaugment", "towards")  # fmt: skip
    _run("noisy-student", images, {"soft": not hard, **_chosen(given, names)}, **given)


@adapt.command()
@_common
@click.option("--scale", type=click.FloatRange(0, 1, min_open=True),
              help="Smallest share of an image's area in a view. [default: 0.5]")  # fmt: skip
def rotation(images: Path, **given: Any) -> None:
    """Learn to tell by how much an image was turned (RotNet). Useless where nothing is upright."""
    _run("rotation", images, _own(given), **given)


@adapt.command()
@_common
@_views(strong=False)
def masked(images: Path, **given: Any) -> None:
    """Learn to fill in hidden parts (MAE, SimMIM). Needs fine-tuning after it."""
    _run("masked", images, _own(given), **given)


@adapt.command()
@_common
@_views(strong=True)
@click.option("--decoupled", is_flag=True, help="DCL: better for small batches.")
def contrastive(images: Path, decoupled: bool, **given: Any) -> None:
    """Learn to tell each image from all others (SimCLR)."""
    _run("contrastive", images, {"decoupled": decoupled, **_own(given)}, **given)


@adapt.command()
@_common
@_views(strong=True)
@click.option("--simsiam", is_flag=True, help="SimSiam instead of BYOL: no second network.")
def predictive(images: Path, simsiam: bool, **given: Any) -> None:
    """Learn to predict one view of an image from another (BYOL)."""
    own = {"momentum": None} if simsiam else {}
    _run("predictive", images, {**own, **_own(given)}, **given)


@adapt.command()
@_common
@_views(strong=True)
def instance(images: Path, **given: Any) -> None:
    """Learn one class an image (IDMM): for hundreds to thousands of images."""
    _run("instance", images, _own(given), **given)


@adapt.command()
@images_argument
@backbone_options
@project_option
@json_option
@quiet_option
def check(
    images: Path, project_dir: Path | None, as_json: bool, quiet: bool, **backbone: Any
) -> None:
    """Say whether rotation, colour and crops mean anything in these images. Takes half a minute."""
    from handful.jobs import check_images

    verdicts = check_images(
        images, backbone=backbone_choice(backbone), project_dir=project_dir, quiet=quiet or as_json
    )
    if as_json:
        echo_json([verdict.as_dict() for verdict in verdicts])
        return
    for verdict in verdicts:
        click.echo(f"{'careful' if verdict.warn else 'fine':8}{verdict.what}: {verdict.sentence}")


@adapt.command()
@images_argument
@click.option(
    "--budget",
    default="10m",
    show_default=True,
    callback=budget_of,
    metavar="TIME",
    help="Such as 10m or 1h.",
)
@click.option("--train-size", type=click.IntRange(16, 1024), default=64, show_default=True,
              help="Side of the images in pixels.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="The same seed gives the same result.")  # fmt: skip
@backbone_options
@project_option
@json_option
@quiet_option
def cut(
    images: Path, budget: Any, train_size: int, seed: int, project_dir: Path | None, as_json: bool, quiet: bool,
    **backbone: Any,
) -> None:  # fmt: skip
    """Find out how many blocks of the backbone to keep as they are (Yosinski 2014), with a plot."""
    from handful.jobs import cut as job

    result = job(
        images, backbone=backbone_choice(backbone), budget=budget, train_size=train_size, random_state=seed,
        project_dir=project_dir, quiet=quiet or as_json,
    )  # fmt: skip
    if as_json:
        echo_json(result.facts)
        return
    click.echo(f"{result.sentence}\n\nplot  {result.folder / 'cut.svg'}")
