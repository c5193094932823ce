"""Plain lines of progress: one at the end, none twice."""

from __future__ import annotations

import pytest

from handful.core import Progress


def said(capsys: pytest.CaptureFixture[str], *, every: float, steps: tuple[int, ...]) -> list[str]:
    with Progress("embed", 3, every=every) as progress:
        for step in steps:
            progress.advance(step)
    return capsys.readouterr().err.splitlines()


def test_the_last_line_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, every=0.0, steps=(1, 1, 1))
    assert [line.split(" images")[0] for line in lines] == [f"embed: {n}/3" for n in (1, 2, 3)]


def test_short_work_has_one_line_and_stopped_work_says_how_far(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert [line[:10] for line in said(capsys, every=9.0, steps=(1, 2))] == ["embed: 3/3"]
    assert [line[:10] for line in said(capsys, every=9.0, steps=(1,))] == ["embed: 1/3"]
    assert said(capsys, every=9.0, steps=()) == []


def test_a_slow_rate_keeps_a_decimal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter((0.0, 10.0, 10.0, 10.0))
    monkeypatch.setattr("handful.core.progress.time.monotonic", lambda: next(times))
    assert said(capsys, every=5.0, steps=(3,)) == ["embed: 3/3 images, 0.3 images/s, 10.0 s"]
