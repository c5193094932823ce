"""``handful label``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from handful.cli.options import (
    METHODS,
    backbone_choice,
    backbone_options,
    file,
    images_argument,
    project_option,
)


@click.command()
@images_argument
@click.option(
    "--annotator",
    "annotators",
    multiple=True,
    metavar="NAME",
    help="Who labels. Repeatable: each gets an address of their own.",
)
@click.option("--classes", metavar="A,B,C", help="Classes to begin with, in the order of keys.")
@click.option(
    "--suggest",
    type=file,
    metavar="MODEL",
    help="A model file that proposes classes until the page's own model is right more often.",
)
@click.option(
    "--target",
    type=click.FloatRange(0, 1, min_open=True),
    help="Accuracy, such as 0.95, at which the page says that you may stop.",
)
@click.option(
    "-o",
    "--output",
    type=file,
    help="The model file that the page exports. [default: model.handful]",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="auto",
    show_default=True,
    help="Of the model file, as for `handful fit`.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="0 takes a free one. [default: that of the last time]",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything drawn."
)
@backbone_options
@project_option
def label(
    images: Path, annotators: tuple[str, ...], classes: str | None, suggest: Path | None, target: float | None,
    output: Path | None, method: str, port: int | None, no_browser: bool, seed: int, project_dir: Path | None,
    **backbone: Any,
) -> None:  # fmt: skip
    """Label images on a page in the browser.

    No label is needed to begin. The page asks for the images that teach the model most, proposes
    a class for each, measures how accurate the model is, and writes the model file. It is open to
    this machine alone. Every answer is safe on disk before the page calls it saved.
    """
    from handful.jobs import Labelling
    from handful.web import run_labelling

    with Labelling(
        images, annotators=annotators or ("",), classes=_names(classes), suggest=suggest, target=target,
        project_dir=project_dir, backbone=backbone_choice(backbone), random_state=seed,
        fit_options={"output": output, "method": method},
    ) as labelling:  # fmt: skip

        def started(taken: int, addresses: dict[str, str]) -> None:
            labelling.port = taken
            _tell(addresses, opens=not no_browser)

        run_labelling(
            labelling, labelling.tokens(), port=port, last_port=labelling.port, started=started
        )


def _names(classes: str | None) -> list[str]:
    return [name.strip() for name in classes.split(",")] if classes else []


def _tell(addresses: dict[str, str], *, opens: bool) -> None:
    """Print the address of each annotator, and open the first."""
    for annotator, address in addresses.items():
        click.echo(f"{annotator}: {address}" if annotator else address)
    click.echo("Ctrl-C ends it; every answer that the page calls saved is on disk.", err=True)
    if opens:
        click.launch(next(iter(addresses.values())))
