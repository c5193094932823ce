"""``handful backbones``."""

from __future__ import annotations

from click import command

from handful.cli.options import echo_json, json_option


@command()
@json_option
def backbones(as_json: bool) -> None:
    """List the networks to choose from."""
    from handful.cli.printing import print_backbones
    from handful.jobs import list_backbones

    entries = list_backbones()
    echo_json(entries) if as_json else print_backbones(entries)
