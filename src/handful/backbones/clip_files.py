"""Which image-text model is meant: its architecture, its weights, and how its images are prepared."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.core import BackboneError, MissingExtraError, did_you_mean, listed

CONFIG = "open_clip_config.json"
_WEIGHTS = (
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin",
    "model.safetensors",
)  # fmt: skip
_PREPROCESS = ("mean", "std", "interpolation", "resize_mode")
_HOW = "Write 'clip:NAME', 'clip:NAME.TAG' or 'clip:FOLDER' with an open_clip_config.json"


@dataclass(frozen=True)
class ClipFiles:
    """An image-text model that was found, not yet read.

    Parameters
    ----------
    name : str
        As it was asked for.
    config : dict
        open_clip's ``model_cfg``.
    preprocess : dict
        ``mean``, ``std``, ``interpolation`` and ``resize_mode``, as open_clip writes them.
    weights : Path
    pretrained_on : str
        In words.
    may_download : bool
        Whether what else the model needs, such as its tokenizer, may be fetched.
    """

    name: str
    config: dict[str, Any]
    preprocess: dict[str, Any]
    weights: Path
    pretrained_on: str
    may_download: bool = False

    @property
    def size(self) -> int:
        """Height and width of the images in pixels."""
        size = self.config["vision_cfg"].get("image_size", 224)
        return int(size[0] if isinstance(size, list | tuple) else size)

    @property
    def is_sigmoid(self) -> bool:
        """Whether it learnt by SigLIP's loss: each pair on its own, with a bias."""
        return self.config.get("init_logit_bias") is not None


def find_clip(name: str, *, weights: Path | None = None, download: bool = False) -> ClipFiles:
    """Find an image-text model; nothing is fetched unless ``download`` says so.

    Parameters
    ----------
    name : str
        ``NAME`` or ``NAME.TAG`` of open_clip, or a folder with ``open_clip_config.json``, such as
        one that ``handful adapt contrastive-text`` wrote. The tag says which published weights are
        meant: their preprocessing and activation.
    weights : Path, optional
        A ``.safetensors`` file, or a ``.pth``, ``.pt`` or ``.bin`` read with ``weights_only=True``.
    download : bool, default=False

    Raises
    ------
    BackboneError
        If the name, its tag or the weights are not known, or it is not known how images were
        prepared for them.
    MissingExtraError
        If open_clip is not installed.
    """
    library = open_clip()
    if Path(name).is_dir():
        return _in_folder(Path(name), weights, download)
    base, _, tag = name.partition(".")
    base = base.replace("/", "-")
    config = library.get_model_config(base)
    if config is None:
        near = did_you_mean(base, library.list_models())
        raise BackboneError(f"open_clip has no model {base!r}{near}. {_HOW}.")
    record = _record(base, tag)
    if record.get("quick_gelu"):
        config["quick_gelu"] = True
    if weights is None:
        weights = _published(name, tag, record, download)
        return ClipFiles(
            name, config, _published_preprocess(base, tag, config), weights, tag, download
        )
    beside = weights.parent / CONFIG
    preprocess = (
        _beside(beside, name, config)
        if beside.is_file()
        else _published_preprocess(base, tag, config)
    )
    return ClipFiles(name, config, preprocess, weights, f"weights file {weights.name}", download)


def open_clip() -> Any:
    """Return the library, or say which extra has it."""
    try:
        import open_clip as library
    except ImportError as error:
        raise MissingExtraError("An image-text model", "open_clip_torch", "clip") from error
    return library


def _in_folder(folder: Path, weights: Path | None, download: bool) -> ClipFiles:
    content = _read(folder / CONFIG)
    found = weights or next((folder / file for file in _WEIGHTS if (folder / file).is_file()), None)
    if found is None:
        raise BackboneError(
            f"The folder {str(folder)!r} holds no weights. Expected {_WEIGHTS[0]!r}; or give a file "
            "with --weights FILE."
        )
    preprocess = _preprocess(content.get("preprocess_cfg", {}))
    about = f"weights file {found.name}"
    return ClipFiles(str(folder), content["model_cfg"], preprocess, found, about, download)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content["model_cfg"]["vision_cfg"], dict):
            raise TypeError("'vision_cfg' is no object")
    except FileNotFoundError as error:
        raise BackboneError(
            f"The folder {str(path.parent)!r} holds no {CONFIG}. {_HOW}."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackboneError(f"{str(path)!r} is no configuration of open_clip: {error}.") from error
    return dict(content)


def _beside(path: Path, name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the preprocessing that lies beside the weights, if that is of the model named."""
    content = _read(path)
    own = content["model_cfg"]
    pairs = {
        "image size": (config["vision_cfg"].get("image_size"), own["vision_cfg"].get("image_size")),
        "length of vectors": (config.get("embed_dim"), own.get("embed_dim")),
        "QuickGELU": (bool(config.get("quick_gelu")), bool(own.get("quick_gelu"))),
        "logit bias": (config.get("init_logit_bias"), own.get("init_logit_bias")),
    }
    differing = [what for what, (named, found) in pairs.items() if named != found]
    if differing:
        raise BackboneError(
            f"{str(path)!r}, beside the weights, is of another model than {name!r}: they differ in "
            f"{listed(differing)}. Write 'clip:{path.parent}' to use it."
        )
    return _preprocess(content.get("preprocess_cfg", {}))


def _record(base: str, tag: str) -> dict[str, Any]:
    """Return what open_clip knows of published weights, nothing without a tag."""
    if not tag:
        return {}
    library = open_clip()
    found = library.get_pretrained_cfg(base, tag)
    if not found:
        tags = library.list_pretrained_tags_by_model(base)
        raise BackboneError(
            f"open_clip knows no weights {tag!r} of {base!r}{did_you_mean(tag, tags)}. Known: {listed(tags, most=9)}."
        )
    return dict(found)


def _published_preprocess(base: str, tag: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return how images are prepared for published weights; refused where those differ."""
    library = open_clip()
    if tag:
        return _preprocess(_record(base, tag))
    tags = library.list_pretrained_tags_by_model(base)
    records = {each: library.get_pretrained_cfg(base, each) for each in tags}
    if not config.get("quick_gelu"):
        records = {
            each: record for each, record in records.items() if not record.get("quick_gelu")
        } or records
    ways: dict[str, str] = {}
    for each, record in records.items():
        ways.setdefault(json.dumps(_preprocess(record), sort_keys=True), each)
    if len(ways) > 1:
        examples = [f"clip:{base}.{each}" for each in ways.values()]
        raise BackboneError(
            f"Weights of {base!r} were published with {len(ways)} ways to prepare images, and the file says none. "
            f"Name whose these are, such as {listed(map(repr, examples))}."
        )
    return _preprocess(next(iter(records.values()), {}))


def _preprocess(values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that count, open_clip's defaults where there are none."""
    library = open_clip()
    usual = {
        "mean": library.OPENAI_DATASET_MEAN, "std": library.OPENAI_DATASET_STD,
        "interpolation": "bicubic", "resize_mode": "shortest",
    }  # fmt: skip
    found = {key: values[key] if values.get(key) else usual[key] for key in _PREPROCESS}
    if found["resize_mode"] not in ("shortest", "squash"):
        raise BackboneError(
            f"Images of this model are resized by {found['resize_mode']!r}, which handful does not do. Expected "
            "'shortest' or 'squash'."
        )
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def _published(name: str, tag: str, record: dict[str, Any], download: bool) -> Path:
    """Return published weights from the hub's cache, fetched first when that is allowed."""
    if not tag:
        tags = open_clip().list_pretrained_tags_by_model(name.replace("/", "-"))
        raise BackboneError(
            f"Whose weights? Give a file with --weights FILE, or name published ones as 'clip:{name}.TAG'. "
            f"TAG is one of {listed(tags, most=9)}."
        )
    if download:
        try:
            return Path(open_clip().download_pretrained(record))
        except Exception as error:  # hub, url and disk raise types of their own
            raise BackboneError(
                f"The weights of {name!r} could not be fetched: {str(error).splitlines()[0]}"
            ) from error
    cached = _in_hub_cache(record.get("hf_hub", ""))
    if cached is None:
        raise BackboneError(
            f"The weights of {name!r} are not on this machine. Give a file with --weights FILE, or allow a "
            "download with --download."
        )
    return cached


def _in_hub_cache(address: str) -> Path | None:
    """Return the weights that lie in the hub's cache, None where there are none."""
    from huggingface_hub import try_to_load_from_cache

    repository, _, file = address.rpartition("/")
    for each in [file] if file else _WEIGHTS:
        found = try_to_load_from_cache(repository, each) if repository else None
        if isinstance(found, str):
            return Path(found)
    return None
