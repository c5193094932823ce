"""``handful status``."""

from __future__ import annotations

from pathlib import Path

from click import command

from handful.cli.options import (
    echo_json,
    images_argument,
    json_option,
    project_option,
    quiet_option,
)


@command()
@images_argument
@project_option
@json_option
@quiet_option
def status(images: Path, project_dir: Path | None, as_json: bool, quiet: bool) -> None:
    """Say what is in a folder.

    Images, labels, splits, near duplicates, and files that cannot be used with the reason.
    """
    from handful.cli.printing import print_status
    from handful.jobs import status as job

    summary = job(images, project_dir=project_dir, quiet=quiet or as_json)
    echo_json(summary) if as_json else print_status(summary)
