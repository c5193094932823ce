"""``handful demo``."""

from __future__ import annotations

from pathlib import Path

import click

from handful.cli.options import echo_json, folder, json_option, quiet_option


@click.command()
@click.argument("directory", type=folder, default="handful-demo")
@click.option(
    "--labels",
    "n_labels",
    type=click.IntRange(2, 100),
    default=10,
    show_default=True,
    help="Labels a class to keep.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the choice of labels."
)
@json_option
@quiet_option
def demo(directory: Path, n_labels: int, seed: int, as_json: bool, quiet: bool) -> None:
    """Run the main job on packaged images.

    Writes 1,000 handwritten digits as images into DIRECTORY, keeps a few labels a class, hides the
    rest, fits, and compares the stated accuracy with the one on the hidden rest.
    """
    from handful.cli.printing import print_demo
    from handful.jobs import demo as job

    outcome = job(directory, n_labels=n_labels, random_state=seed, quiet=quiet or as_json)
    echo_json(outcome.as_dict()) if as_json else print_demo(outcome)
