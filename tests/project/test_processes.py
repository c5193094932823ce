"""Real processes: several writers at once, and writers that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from handful.project import Project

LABEL = """
import sys
from handful.project import LabelEvent, Project
root, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Project.open(root) as project:
    image = project.images()[0].hash
    for number in range(count):
        project.labels.add([LabelEvent(image, f"{name} {number}")])
        print(number, flush=True)  # the acknowledgement
"""
SCAN = """
import sys
from handful.project import Project
with Project.open(sys.argv[1]) as project:
    print("begin", flush=True)
    project.scan(quiet=True)
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> list[str]:
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0
    return output.splitlines()


def kill_after(process: subprocess.Popen[str], lines: int) -> list[str]:
    """Return all the lines that a process wrote before it was killed."""
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    rest = process.communicate(timeout=60)[0]
    return [line.strip() for line in [*first, *rest.splitlines()] if line.strip()]


def labels_by_hand(root: Path) -> list[str]:
    with Project.open(root) as project:
        assert project.database.rows("PRAGMA integrity_check") == [("ok",)]
        return [e.event.label for e in project.labels.events() if e.event.kind == "human"]


@pytest.mark.slow
def test_labels_of_several_processes_are_all_kept(pets, root):
    writers = [start(LABEL, root, f"writer {number}", 25) for number in range(4)]
    while any(writer.poll() is None for writer in writers):
        assert len(pets.images()) == 5  # reading goes on
    for writer in writers:
        assert len(end(writer)) == 25
    labels = labels_by_hand(root)
    assert sorted(labels) == sorted(f"writer {w} {n}" for w in range(4) for n in range(25))
    assert len({step.number for step in pets.labels.steps()}) == 1 + 100


@pytest.mark.slow
def test_no_acknowledged_label_is_lost_by_a_kill(pets, root):
    acknowledged = []
    for run, lines in enumerate((1, 2, 3, 7, 15, 30)):
        written = kill_after(start(LABEL, root, f"run {run}", 10_000), lines)
        acknowledged += [f"run {run} {number}" for number in written if number.isdigit()]
    labels = labels_by_hand(root)
    assert len(acknowledged) >= 58
    assert len(set(labels)) == len(labels)  # each once
    assert set(acknowledged) <= set(labels)
    assert len(labels) <= len(acknowledged) + 6  # at most the one being answered, for each kill


@pytest.mark.slow
def test_projects_made_by_several_processes_at_once(root, write, said):
    for number in range(300):
        write(f"cat/{number}.jpg")
    for process in [start(SCAN, root) for _ in range(4)]:
        end(process)
    with Project.open(root) as project:
        assert project.scan(quiet=True).unchanged == 300
        assert set(said(project).values()) == {"cat"}
        assert len(project.labels.events()) == 300  # imported once


@pytest.mark.slow
def test_a_killed_scan_ends_like_an_uninterrupted_one(root, write, said):
    for number in range(2000):
        write(f"cat/{number}.jpg")
    for _ in range(3):
        kill_after(start(SCAN, root), 1)
    end(start(SCAN, root))
    with Project.open(root) as project:
        assert project.scan(quiet=True).unchanged == 2000
        assert len(project.labels.events()) == 2000
        assert set(said(project).values()) == {"cat"}
