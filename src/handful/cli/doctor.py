"""``handful doctor``."""

from __future__ import annotations

from typing import Any

import click

from handful.cli.options import echo_json, json_option


@click.command()
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check this installation.

    Versions, cores, the packaged network, and each setting with where it comes from.
    """
    from handful.cli.printing import print_doctor
    from handful.jobs import doctor as job

    facts = {**job(), "settings": _settings(ctx)}
    echo_json(facts) if as_json else print_doctor(facts)
    if not facts["ok"]:
        raise click.exceptions.Exit(1)


def _settings(ctx: click.Context) -> list[dict[str, Any]]:
    """Return the value of every option that has one, and whether handful.toml or the default gave it."""
    group: Any = ctx.find_root().command
    given = ctx.find_root().default_map or {}
    rows = []
    for name, command in group.commands.items():
        for option in command.params:
            value = given.get(name, {}).get(option.name, option.to_info_dict()["default"])
            if (
                isinstance(option, click.Option)
                and not option.is_flag
                and isinstance(value, str | int | float)
            ):
                source = "handful.toml" if option.name in given.get(name, {}) else "default"
                rows.append({"option": f"{name} {option.opts[-1]}", "value": value, "from": source})
    return rows
