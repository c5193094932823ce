"""``handful serve``."""

from __future__ import annotations

from pathlib import Path

import click

from handful.cli.options import file


@click.command()
@click.argument("model", type=file)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Another host than this machine demands a token.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0 takes a free one.",
)
@click.option(
    "--token",
    envvar="HANDFUL_TOKEN",
    help="What callers must show. [default: none on this machine]",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Another name that callers may reach it by, behind a proxy. Repeatable.",
)
def serve(
    model: Path, host: str, port: int, token: str | None, allowed_hosts: tuple[str, ...]
) -> None:
    """Answer over HTTP, with a page to try it.

    A page to drop images on is at /, the interface is described at /docs, figures for Prometheus
    are at /metrics. Ctrl-C or SIGTERM finishes what is under way, then stops.
    """
    from handful.jobs import Predictor
    from handful.web import run

    run(
        Predictor(model), host=host, port=port, token=token, allowed_hosts=allowed_hosts,
        started=lambda address: click.echo(f"Serving {model} at {address}", err=True),
    )  # fmt: skip
