"""Power cuts, full disks and two runs at once: nothing is lost, and the end is the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from handful.embeddings import VectorStore
from handful.project import Project

pytestmark = pytest.mark.slow

Maker = Callable[..., Path]


def command(folder: Path, state: Path, *options: str) -> list[str]:
    code = "from handful.cli import main; main()"
    model = str(state.parent / f"{state.name}.handful")
    return [sys.executable, "-c", code, "fit", str(folder), "--project", str(state), "-o", model,
            "--size", "64", "--method", "prototypes", "-q", *options]  # fmt: skip


def contents(folder: Path, state: Path) -> tuple[dict[str, bytes], dict[str, str | None]]:
    """Return every image's vector and label as they stand in a project."""
    with Project.open(folder, project_dir=state, create=False) as project:
        images = project.images()
    (place,) = (state / "embeddings").iterdir()
    store = VectorStore(place.parent, place.name, 1280)
    assert store.verify([image.hash for image in images]) == 0
    X = store.rows([image.hash for image in images])
    vectors = {image.hash: row.tobytes() for image, row in zip(images, X, strict=True)}
    return vectors, {image.hash: image.label for image in images}


def test_killed_at_20_moments_the_next_run_ends_the_same(digits: Maker, tmp_path: Path) -> None:
    folder = digits(20, classes="01234", unlabelled=60)
    start = time.monotonic()
    subprocess.run(command(folder, tmp_path / "whole"), check=True)
    whole, expected = time.monotonic() - start, contents(folder, tmp_path / "whole")
    assert len(expected[0]) > 350
    killed, random = 0, np.random.default_rng(0)
    for number in range(60):
        state = tmp_path / f"killed-{number % 4}"
        process = subprocess.Popen(command(folder, state), stderr=subprocess.DEVNULL)
        try:
            process.wait(random.uniform(0.1, 1.0) * whole)
            shutil.rmtree(state)  # it was done before the blow: begin anew, and strike earlier
            whole *= 0.8
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
        if killed == 20:
            break
    assert killed == 20
    for number in range(4):
        subprocess.run(command(folder, tmp_path / f"killed-{number}"), check=True)
        assert contents(folder, tmp_path / f"killed-{number}") == expected
        left = [
            path for path in (tmp_path / f"killed-{number}").rglob("*") if path.suffix == ".part"
        ]
        assert left == []


def test_two_fits_at_once_both_end_well(digits: Maker, tmp_path: Path) -> None:
    folder = digits(15, classes="0123", unlabelled=20)
    state = tmp_path / "state"
    both = [
        subprocess.Popen(command(folder, state), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=240)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    vectors, labels = contents(folder, state)
    assert len(vectors) == 140
    assert sum(label is not None for label in labels.values()) == 60


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 3 MB, or skip where that is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small tmpfs needs root")
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], check=False
    ).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_one_message_and_the_next_run_ends_the_same(
    digits: Maker, tmp_path: Path, small_disk: Path
) -> None:
    folder = digits(20, classes="01234", unlabelled=150)
    done = subprocess.run(
        command(folder, small_disk / "state"), check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "space" in done.stderr.lower() or "full" in done.stderr.lower(), done.stderr
    subprocess.run(["mount", "-o", "remount,size=60m", str(small_disk)], check=True)
    subprocess.run(command(folder, small_disk / "state"), check=True)
    subprocess.run(command(folder, tmp_path / "whole"), check=True)
    assert contents(folder, small_disk / "state") == contents(folder, tmp_path / "whole")
