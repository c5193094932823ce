"""How results look in a terminal; data goes to standard output."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from handful.jobs import DemoOutcome, FitResult, ImportReport, Question, Row, Step

_COLUMNS = ("path", "label", "confidence", "known", "is_known", "flagged", "error")


def print_summary(result: FitResult) -> None:
    """Print the methods, the accuracy, what matters next, and where the files are."""
    from handful.jobs import summary_table

    console = Console()
    console.print(summary_table(result.report))
    point = result.report["operating_point"]
    for line in result.report["data"]["warnings"] + ([point["sentence"]] if point else []):
        console.print(Text(f"! {line}"))
    console.print(Text(f"model   {result.bundle}\nreport  {result.report_html}"), soft_wrap=True)


def print_advice(advice: dict[str, Any]) -> None:
    """Print the ranked plans; a command keeps its line whole."""
    from handful.jobs import advice_table

    Console().print(advice_table(advice))


def print_rows(rows: Iterable[Row], form: str, *, review: int | None) -> bool:
    """Print predictions as they come; return whether any image could be used."""
    from handful.jobs import least_certain

    used = False

    def watched() -> Iterator[Row]:
        nonlocal used
        for row in rows:
            used = used or row.prediction is not None
            yield row

    chosen = least_certain(watched(), review) if review else watched()
    printers = {
        "table": _print_table,
        "csv": _print_csv,
        "jsonl": _print_jsonl,
        "json": _print_json,
    }
    printers[form](chosen)
    return used


def _print_jsonl(rows: Iterable[Row]) -> None:
    for row in rows:
        click.echo(json.dumps(row.as_dict(), ensure_ascii=False))


def _print_json(rows: Iterable[Row]) -> None:
    click.echo(json.dumps([row.as_dict() for row in rows], ensure_ascii=False, indent=1))


def _print_csv(rows: Iterable[Row]) -> None:
    """Print a header with the classes, which the first usable image names, and a line an image."""
    waiting: list[Row] = []
    classes: list[str] | None = None
    for row in rows:
        waiting.append(row)
        if classes is None and row.prediction is not None:
            classes = list(row.prediction.probabilities)
            click.echo(_csv([*_COLUMNS, *(f"p_{name}" for name in classes)]))
        if classes is not None:
            _print_lines(waiting, classes)
            waiting = []
    if waiting:
        click.echo(_csv(_COLUMNS))
        _print_lines(waiting, [])


def _print_lines(rows: Iterable[Row], classes: Sequence[str]) -> None:
    for row in rows:
        values = row.as_dict()
        probabilities = values.pop("probabilities", {})
        cells = ["" if values.get(key) is None else values[key] for key in _COLUMNS]
        click.echo(_csv([*cells, *(probabilities.get(name, "") for name in classes)]))


def _csv(cells: Iterable[object]) -> str:
    from handful.jobs import escape_cell

    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow([escape_cell(str(cell)) for cell in cells])
    return buffer.getvalue()


def _print_table(found: Iterable[Row]) -> None:
    rows = list(found)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("image", overflow="fold")
    for title in ("label", "confidence", "known", ""):
        table.add_column(title, no_wrap=True)
    for row in rows:
        said = row.prediction
        if said is None:
            table.add_row(Text(f"{row.path}: {row.reason}", "red"))
            continue
        known = f"{said.known:.2f}" if said.is_known else f"{said.known:.2f} unknown"
        label = Text(said.label, "bold" if said.is_known else "dim")
        flag = f"flagged: {said.flagged}" if said.flagged else ""
        table.add_row(Text(row.path), label, f"{100 * said.confidence:.1f} %", known, Text(flag))
    _console(max((len(row.path) + len(row.reason) for row in rows), default=0)).print(table)
    bad = sum(row.prediction is None for row in rows)
    if bad:
        click.echo(f"{bad} of {len(rows)} images could not be used.", err=True)


def _console(longest: int) -> Console:
    """Return a console that cuts no name: as wide as needed where the output is not a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, longest + 100))


def print_backbones(entries: list[dict[str, Any]]) -> None:
    """Print the catalogue as a table."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("name", no_wrap=True)
    for title in ("size", "dim", "licence", "trained on", "here", "how"):
        table.add_column(title, overflow="fold")
    for entry in entries:
        size, dim = (str(entry[key] or "·") for key in ("size", "dim"))
        here = "yes" if entry["here"] else "no"
        cells = (entry["name"], size, dim, entry["licence"], entry["pretrained_on"], here)
        table.add_row(*map(Text, (*cells, entry["note"])))
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
    table.add_row("folder", Text(summary["root"]))
    table.add_row("images", f"{summary['images']} in {summary['files']} files")
    table.add_row("labels", f"{summary['labelled']} labelled, {summary['unlabelled']} unlabelled")
    for row in summary["classes"]:
        table.add_row("", Text(f"{row['n']:>6}  {row['name']}"))
    for name, n in summary["splits"].items():
        table.add_row("split", f"{n} {name}")
    table.add_row("near duplicates", str(summary["near_duplicates"]))
    console = Console()
    console.print(table)
    warnings = summary["scan"]["warnings"] + [
        f"{bad['name']}: {bad['reason']}" for bad in summary["unusable"]
    ]
    warnings += [
        f"{' and '.join(row['names'])} show the same picture, labelled {' and '.join(row['labels'])}"
        for row in summary["contradictions"]
    ]
    for line in warnings:
        console.print(Text(f"! {line}"), soft_wrap=True)


def print_questions(questions: Sequence[Question], form: str, strategy: str) -> None:
    """Print the images to label next."""
    from handful.jobs import as_label_studio

    rows = [question.as_dict() for question in questions]
    if form == "csv":
        click.echo(_csv(rows[0]))
        for row in rows:
            click.echo(_csv("" if cell is None else cell for cell in row.values()))
    elif form in ("json", "label-studio"):
        values = rows if form == "json" else as_label_studio(questions, strategy)
        click.echo(json.dumps(values, ensure_ascii=False, indent=1))
    else:
        _print_questions_table(rows)


def _print_questions_table(rows: Sequence[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("image", overflow="fold")
    table.add_column("suggestion", no_wrap=True)
    table.add_column("probability", no_wrap=True)
    for row in rows:
        sure = "" if row["probability"] is None else f"{100 * row['probability']:.0f} %"
        table.add_row(Text(row["path"]), Text(row["suggestion"] or ""), sure)
    _console(max(len(row["path"]) for row in rows)).print(table)
    for why in dict.fromkeys(row["why"] for row in rows):
        click.echo(f"Why these: {why}.")


def print_import(outcome: ImportReport | Step, as_json: bool) -> None:
    """Print what an import did, or which one was taken back."""
    values = asdict(outcome)
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False, indent=1))
    elif "number" in values:
        click.echo(f"Taken back: the import of {values['what']}.")
    else:
        click.echo(
            f"{values['labelled']} of {values['images']} images labelled from {values['what']}."
        )
        if values["new_classes"]:
            click.echo(f"New classes: {', '.join(values['new_classes'])}.")
        if values["outranked"]:
            click.echo(f"{values['outranked']} images keep the label a person gave them.")
        for line in values["warnings"] + [f"{name}: {why}" for name, why in values["skipped"]]:
            click.echo(f"! {line}")


def _percent(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return "not measurable"
    return f"{100 * estimate['value']:.1f} % ({100 * estimate['low']:.1f}–{100 * estimate['high']:.1f})"
