"""The zip file of a bundle: three members, checked before anything in them is used."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

from handful.core import BundleError, listed, write_atomically

FORMAT_VERSION = 1
MODEL, INFO, REPORT = "model.onnx", "bundle.json", "report.json"
_LIMITS = {MODEL: 2 << 30, INFO: 64 << 20, REPORT: 256 << 20}
_MAX_RATIO = 200
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, UnicodeDecodeError, NotImplementedError, RuntimeError, EOFError, OSError,
)  # fmt: skip
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_archive(path: Path, model: bytes, info: dict[str, Any], report: dict[str, Any]) -> None:
    """Write a bundle in one atomic step; the digests of its members go into ``bundle.json``."""
    text = _json(report)
    info = {
        **info,
        "format_version": FORMAT_VERSION,
        "digests": {MODEL: _sha256(model), REPORT: _sha256(text)},
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in ((INFO, _json(info)), (REPORT, text), (MODEL, model)):
            kind = zipfile.ZIP_STORED if name == MODEL else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, kind)
    write_atomically(path, buffer.getvalue())


def read_archive(path: Path) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
    """Return the graph, ``bundle.json`` and ``report.json`` of a bundle.

    Raises
    ------
    BundleError
        If it is not a zip of exactly these three members, of sizes that make
        sense and with the digests it states.
    """
    if not path.is_file():
        raise BundleError(
            f"No such model: {str(path)!r}. `handful fit IMAGES -o model.handful` writes one."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path.name)
            model, info, report = (archive.read(name) for name in (MODEL, INFO, REPORT))
    except _DAMAGE as error:
        raise BundleError(
            f"{path.name!r} is not a readable model file: {error}. Copy it again from where it was made."
        ) from error
    return model, *_checked_json(path.name, model, info, report)


def _check_members(archive: zipfile.ZipFile, name: str) -> None:
    members = archive.infolist()
    names = sorted(member.filename for member in members)
    if names != sorted(_LIMITS):
        foreign = [member for member in names if member not in _LIMITS]
        what = (
            f"it holds {listed(map(repr, foreign))}"
            if foreign
            else f"its members are {listed(names) or 'none'}"
        )
        raise BundleError(
            f"{name!r} is not a handful model: {what}. Expected exactly {', '.join(sorted(_LIMITS))}."
        )
    for member in members:
        if member.compress_type not in _KINDS:
            raise BundleError(
                f"{name!r} is refused: {member.filename} is packed in a way that handful does not write."
            )
        if member.file_size > _LIMITS[member.filename] or member.file_size > _MAX_RATIO * max(
            member.compress_size, 1
        ):
            raise BundleError(
                f"{name!r} is refused: {member.filename} would unpack to "
                f"{member.file_size:,} bytes from {member.compress_size:,}."
            )


def _checked_json(
    name: str, model: bytes, info: bytes, report: bytes
) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        facts, text = json.loads(info), json.loads(report)
        version, digests = facts["format_version"], dict(facts["digests"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{name!r} is damaged: its {INFO} cannot be read ({error}).") from error
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{name!r} has the format version {version!r}; this handful reads "
            f"{FORMAT_VERSION}. Install a newer handful."
        )
    for member, content in ((MODEL, model), (REPORT, report)):
        if digests.get(member) != _sha256(content):
            raise BundleError(
                f"{name!r} is damaged or was changed: {member} has another digest than {INFO} states."
            )
    return facts, text


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
