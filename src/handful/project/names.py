"""Finding images by the paths that files and people write."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from handful.core import did_you_mean
from handful.project.folders import display
from handful.project.project import Project

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")


class Names:
    """The images of a project by name.

    A path counts from the image folder, else from the folder of the file that
    holds it, else from a folder above the image folder; absolute paths,
    backslashes and decomposed accents are understood.

    Parameters
    ----------
    project : Project
        Scanned before.
    base : Path
        Folder of the file that holds the paths.
    """

    def __init__(self, project: Project, base: Path) -> None:
        images = project.images()
        self._root, self._base = project.root, base.absolute()
        self._hashes = {image.hash for image in images}
        self._images = {
            _normal(display(os.fsencode(path.relative_to(project.root)))): image.hash
            for image in images
            for path in image.paths
        }
        self._unusable = {
            _normal(unusable.name): unusable.reason for unusable in project.unusable()
        }

    def find(self, path: str, content: str | None = None) -> str | None:
        """Return the content hash of a usable image by its hash or path, or None."""
        if content in self._hashes:
            return content
        known = (self._images.get(name) for name in self._candidates(path))
        return next((found for found in known if found), None)

    def find_upload(self, path: str) -> str | None:
        """Return the content hash of a file that was uploaded as ``1a2b3c4d-NAME``, or None.

        Only where a single image of the project has that name.
        """
        original = _UPLOADED.sub("", path.rpartition("/")[2])
        same = self._same_name(original)
        return self._images[same[0]] if len(same) == 1 else None

    def reason(self, path: str) -> str | None:
        """Return why the image of this path cannot be used, or None when there is none."""
        known = (self._unusable.get(name) for name in self._candidates(path))
        return next((reason for reason in known if reason), None)

    def hint(self, path: str) -> str:
        """Return `` (did you mean ...?)`` for the path of an image that may be meant."""
        same = self._same_name(path.replace("\\", "/").rpartition("/")[2])
        return f" (did you mean {same[0]!r}?)" if same else did_you_mean(path, self._images)

    def _same_name(self, name: str) -> list[str]:
        return [known for known in self._images if known.rpartition("/")[2] == _normal(name)]

    def _candidates(self, path: str) -> Iterator[str]:
        """Yield what the path may mean, relative to the root, likeliest first."""
        yield _normal(path)
        for text in dict.fromkeys((path, path.strip(), path.strip().replace("\\", "/"))):
            for folder in (self._root, self._base, *self._root.parents):
                relative = os.path.relpath(folder / text, self._root)
                yield _normal(relative.replace(os.sep, "/"))


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)
