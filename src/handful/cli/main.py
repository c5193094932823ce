"""The group of commands, its settings file, and the one place where errors become messages."""

from __future__ import annotations

import os
import signal
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any, NoReturn

import click

from handful import __version__
from handful.cli import adapt_on_tasks, contrastive_text, distil  # noqa: F401  # commands of adapt
from handful.cli.adapt import adapt
from handful.cli.advise import advise
from handful.cli.backbones import backbones
from handful.cli.demo import demo
from handful.cli.doctor import doctor
from handful.cli.embed import embed
from handful.cli.episodes import episodes
from handful.cli.export import export
from handful.cli.fit import fit
from handful.cli.import_labels import import_labels
from handful.cli.label import label
from handful.cli.next import next_images
from handful.cli.predict import predict
from handful.cli.report import report
from handful.cli.serve import serve
from handful.cli.status import status

SETTINGS_FILE = "handful.toml"
_INTERRUPTED = 130


class _Commands(click.Group):
    """Turns the errors that a user can cause into one message and exit code 1."""

    interrupted = False

    def invoke(self, ctx: click.Context) -> Any:
        if threading.current_thread() is not threading.main_thread():
            return self._spoken(ctx)
        before = signal.signal(signal.SIGINT, self._interrupt)
        try:
            return self._spoken(ctx)
        finally:
            signal.signal(signal.SIGINT, before)

    def _spoken(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _stop()
        except Exception as error:
            if self.interrupted:  # a library turned the interruption into an error of its own
                _stop()
            message = _message(error)
            if message is None:
                raise
            raise click.ClickException(message) from error

    def _interrupt(self, *_: object) -> None:
        if self.interrupted:
            os._exit(_INTERRUPTED)
        self.interrupted = True
        raise KeyboardInterrupt

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of use, not of the alphabet


def _stop() -> NoReturn:
    """End at once: what is finished is on disk, and threads that still compute are not waited for."""
    click.echo("Stopped. What was finished is kept.", err=True)
    sys.stdout.flush()
    os._exit(_INTERRUPTED)


def _message(error: Exception) -> str | None:
    """Return what to tell the user, None for an error that is ours."""
    from handful.core import HandfulError

    if isinstance(error, HandfulError):
        return str(error)
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return f"{error.strerror or error}: {error.filename or 'while writing'}."
    return None


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="handful")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Image classifiers from a handful of labels.

    \b
    handful fit IMAGES                     a folder in, model.handful out
    handful predict model.handful PHOTOS   classify new images
    handful status IMAGES                  what is there

    IMAGES is a folder whose sub-folders are named like their classes; images at its root or in
    `unlabelled/` have no label yet. State is kept in IMAGES/.handful; images are never changed.
    Options may also stand in a file handful.toml here, in a section named like the command.
    """  # noqa: D301
    ctx.default_map = read_settings(Path(SETTINGS_FILE))


def read_settings(path: Path) -> dict[str, Any]:
    """Return the options of the settings file by command, checked by name."""
    if not path.is_file():
        return {}
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} is not readable TOML: {error}.") from error
    problems: list[str] = []
    settings = _read_group(main, sections, "", problems)
    if problems:
        raise click.ClickException(f"{path}: {'; '.join(problems)}.")
    return settings


def _read_group(
    group: click.Group, sections: dict[str, Any], prefix: str, problems: list[str]
) -> dict[str, Any]:
    """Return the options of a group's commands as click names them; add what is wrong to ``problems``."""
    from handful.core import did_you_mean

    found = {}
    for name, options in sections.items():
        command = group.commands.get(name)
        if command is None or not isinstance(options, dict):
            problems.append(f"no command {prefix + name!r}{did_you_mean(name, group.commands)}")
        elif isinstance(command, click.Group):
            found[name] = _read_group(command, options, f"{prefix}{name}.", problems)
        else:
            found[name] = _read_options(command, options, prefix + name, problems)
    return found


def _read_options(
    command: click.Command, options: dict[str, Any], name: str, problems: list[str]
) -> dict[str, Any]:
    from handful.core import did_you_mean

    known = _keys(command)
    problems += [
        f"[{name}] has no option {key!r}{did_you_mean(key.replace('_', '-'), known)}"
        for key in options
        if key.replace("_", "-") not in known
    ]
    return {
        known[key.replace("_", "-")]: value
        for key, value in options.items()
        if key.replace("_", "-") in known
    }


def _keys(command: click.Command) -> dict[str, str]:
    """Return what each long option of a command is called in the file and in the code."""
    options = (p for p in command.params if isinstance(p, click.Option))
    return {option.opts[-1].lstrip("-"): option.name or "" for option in options}


for _command in (
    fit,
    predict,
    serve,
    advise,
    adapt,
    episodes,
    label,
    next_images,
    status,
    report,
    import_labels,
    export,
    embed,
    backbones,
    doctor,
    demo,
):
    main.add_command(_command)
