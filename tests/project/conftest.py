"""Small image folders. The project room never decodes, so any bytes are an image."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from handful.project import Project

Write = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty image folder, away from other files of the test."""
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.fixture
def write(root: Path) -> Write:
    """Write a file below the root; the same content gives an exact copy."""

    def write_file(name: str, content: str | None = None) -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name if content is None else content)
        os.utime(path, (1e9, 1e9))  # long ago, so that the next scan trusts size and time
        return path

    return write_file


@pytest.fixture
def pets(root: Path, write: Write) -> Iterator[Project]:
    """An open, scanned project: two cats, two dogs, one unlabelled."""
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "dog/4.jpg", "unlabelled/5.jpg"):
        write(name)
    with Project.open(root) as project:
        project.scan(quiet=True)
        yield project


@pytest.fixture
def plain_user() -> Iterator[Path]:
    """A folder to work in without the rights of the superuser, for whom nothing is read-only."""
    folder = Path(tempfile.mkdtemp(prefix="handful-test-"))
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(0)
    else:
        yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def said() -> Callable[[Project], dict[str, str | None]]:
    """Return the label of every image by name."""
    return lambda project: {image.name: image.label for image in project.images()}


@pytest.fixture
def by_name() -> Callable[[Project], dict[str, str]]:
    """Return the content hash of every image by name."""
    return lambda project: {image.name: image.hash for image in project.images()}
