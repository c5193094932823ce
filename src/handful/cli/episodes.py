"""``handful episodes``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from handful.jobs import EpisodesResult


def _numbers(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """Parse ``1,2,5``."""
    try:
        numbers = tuple(int(part) for part in value.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise click.BadParameter("expected numbers of labels, such as 1,2,5,10,20")
    return numbers


@click.command()
@images_argument
@click.option("--labels", "shots", default="1,2,5,10,20", show_default=True, callback=_numbers, metavar="N,N,…",
              help="Labels a class to try.")  # fmt: skip
@click.option("--method", "methods", multiple=True, metavar="NAME",
              help="Only this method; may be repeated. [default: the linear probe of `fit` and six more]")  # fmt: skip
@click.option("--draws", type=click.IntRange(2, 10_000), default=50, show_default=True,
              help="How often labels are drawn.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="The same seed gives the same result.")  # fmt: skip
@backbone_options
@project_option
@json_option
@quiet_option
def episodes(
    images: Path, shots: tuple[int, ...], methods: tuple[str, ...], draws: int, seed: int,
    project_dir: Path | None, as_json: bool, quiet: bool, **backbone: Any,
) -> None:  # fmt: skip
    """Say what 1, 2, 5, 10 or 20 labels a class would give on these images.

    Labels are drawn at random from those that are there, and each draw is tested on all other
    labelled images: the more there are, the better the answer. A range holds 95 of 100 draws, on new images.
    """
    from handful.jobs import EPISODE_METHODS
    from handful.jobs import episodes as job

    result = job(
        images, shots=shots, methods=methods or EPISODE_METHODS, draws=draws, backbone=backbone_choice(backbone),
        random_state=seed, project_dir=project_dir, quiet=quiet or as_json,
    )  # fmt: skip
    if as_json:
        echo_json({"folder": str(result.folder), **result.facts})
    else:
        _print(result)


def _print(result: EpisodesResult) -> None:
    """Print a row a method, a column a number of labels."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = result.facts["labels"]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("labels a class", no_wrap=True)
    for row in rows:
        table.add_column(str(row["labels_a_class"]), justify="right", no_wrap=True)
    for name in rows[0]["methods"]:
        cells = [_cell(row["methods"][name]["accuracy"], row["best"] == name) for row in rows]
        table.add_row(name, *cells)
    console = Console()
    wide = 16 + 20 * len(rows)
    (console if console.width >= wide else Console(width=wide)).print(table)
    for line in result.facts["warnings"]:
        console.print(Text(f"! {line}"))
    plot = result.folder / "labels.svg"
    console.print(Text(f"\n{result.sentence}"))
    if plot.is_file():
        console.print(Text(f"plot  {plot}"), soft_wrap=True)


def _cell(estimate: dict[str, Any], is_best: bool) -> Any:
    from rich.text import Text

    if estimate["value"] is None:
        return Text("too few images", "dim")
    low, value, high = (100 * estimate[key] for key in ("low", "value", "high"))
    return Text(f"{value:.1f} ({low:.0f}–{high:.0f})", "bold" if is_best else "")
