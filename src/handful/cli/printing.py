"""How results look in a terminal; data goes to standard output."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from handful.jobs import DemoOutcome, FitResult, Row

_MANY = 8  # classes from which a table shows the best alone


def print_summary(result: FitResult) -> None:
    """Print the methods, the accuracy, what matters next, and where the files are."""
    from handful.jobs import summary_table

    console = Console()
    console.print(summary_table(result.report))
    console.print(Text(f"model   {result.bundle}\nreport  {result.report_html}"), soft_wrap=True)


def print_rows(rows: Iterable[Row], form: str, *, review: int | None) -> bool:
    """Print predictions as they come; return whether any image could be used."""
    from handful.jobs import least_certain

    seen = (
        list(least_certain(rows, review) if review else rows) if review or form == "table" else rows
    )
    if form == "table":
        _print_table(list(seen))
    used = False
    writer: Any = None
    for row in () if form == "table" else seen:
        used = used or row.prediction is not None
        values = row.as_dict()
        if form == "jsonl":
            click.echo(json.dumps(values, ensure_ascii=False))
            continue
        probabilities = values.pop("probabilities", {})
        if writer is None and probabilities:
            writer = [
                "path",
                "label",
                "confidence",
                "known",
                "is_known",
                "error",
                *map("p_{}".format, probabilities),
            ]
            click.echo(_csv(writer))
        click.echo(
            _csv(
                [
                    *(
                        values.get(key, "")
                        for key in ("path", "label", "confidence", "known", "is_known", "error")
                    ),
                    *probabilities.values(),
                ]
            )
        )
    return used if form != "table" else any(row.prediction for row in seen)


def _csv(cells: Sequence[object]) -> str:
    from handful.jobs import escape_cell

    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow([escape_cell(cell) for cell in cells])
    return buffer.getvalue()


def _print_table(rows: list[Row]) -> None:
    table = Table(
        "image", "label", "confidence", "known", box=None, pad_edge=False, header_style="dim"
    )
    for row in rows:
        if row.prediction is None:
            table.add_row(Text(row.path), Text(row.reason, "red"), "", "")
            continue
        said = row.prediction
        known = f"{said.known:.2f}" if said.is_known else f"{said.known:.2f} unknown"
        table.add_row(
            Text(row.path),
            Text(said.label, "bold" if said.is_known else "dim"),
            f"{100 * said.confidence:.1f} %",
            known,
        )
    Console().print(table)
    bad = sum(row.prediction is None for row in rows)
    if bad:
        click.echo(f"{bad} of {len(rows)} images could not be used.", err=True)


def print_backbones(entries: list[dict[str, Any]]) -> None:
    """Print the catalogue as a table."""
    table = Table(
        "name",
        "size",
        "dim",
        "licence",
        "trained on",
        "here",
        "note",
        box=None,
        pad_edge=False,
        header_style="dim",
    )
    for entry in entries:
        size, dim = (str(entry[key] or "of the weights") for key in ("size", "dim"))
        cells = (
            entry["name"],
            size,
            dim,
            entry["licence"],
            entry["pretrained_on"],
            "yes" if entry["here"] else "no",
            entry["note"],
        )
        table.add_row(*map(Text, cells))
    Console().print(table)


def print_doctor(facts: dict[str, Any]) -> None:
    """Print what `handful doctor` found."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for key in (
        "handful",
        "python",
        "system",
        "cores",
        "images_per_second_and_core",
        "free_gigabytes",
        "cache",
    ):
        table.add_row(key.replace("_", " "), Text(str(facts[key])))
    for name, number in {
        **facts["packages"],
        **{f"{n} ({x})": v for x, group in facts["extras"].items() for n, v in group.items()},
    }.items():
        table.add_row(Text(name), Text(number or "not installed", "" if number else "dim"))
    for row in facts["settings"]:
        table.add_row(Text(row["option"]), Text(f"{row['value']}  ({row['from']})"))
    Console().print(table)
    for problem in facts["problems"]:
        click.echo(f"Problem: {problem}")
    click.echo(
        "Everything the main job needs is here." if facts["ok"] else "The main job cannot run."
    )


def print_demo(outcome: DemoOutcome) -> None:
    """Print the demonstration's table, the comparison and three examples."""
    console = Console()
    table = Table(
        "method", "accuracy, 95 % interval", "seconds", box=None, pad_edge=False, header_style="dim"
    )
    for method in outcome.as_dict()["methods"]:
        table.add_row(
            method["name"] + (" ← chosen" if method["chosen"] else ""),
            _percent(method["accuracy"]),
            f"{method['seconds']:.1f}",
        )
    console.print(table)
    stated, hidden = outcome.as_dict()["accuracy"], outcome.as_dict()["hidden"]
    inside = "inside" if outcome.is_inside else "outside"
    console.print(Text(f"stated accuracy      {_percent(stated)}"))
    console.print(
        Text(
            f"on the hidden rest   {_percent(hidden)}, {hidden['n']} images: {inside} the stated interval"
        )
    )
    for example in outcome.examples:
        console.print(
            Text(
                f"{example['path']}  {example['label']} ({100 * example['confidence']:.0f} "
                f"%), in truth {example['truth']}"
            ),
            soft_wrap=True,
        )
    console.print(
        Text(
            f"{outcome.seconds:.0f} seconds; model {outcome.result.bundle}, report "
            f"{outcome.result.bundle.with_name('report.html')}"
        ),
        soft_wrap=True,
    )


def print_status(summary: dict[str, Any]) -> None:
    """Print what is in a folder."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in summary.items():
        if isinstance(value, str | int | float):
            table.add_row(key.replace("_", " "), Text(str(value)))
    Console().print(table)


def _percent(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return "not measurable"
    return f"{100 * estimate['value']:.1f} % ({100 * estimate['low']:.1f}–{100 * estimate['high']:.1f})"
