"""Any timm model by name, with weights the user has, allows to be fetched, or gives as a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.backbones.export import from_torch
from handful.backbones.onnx import OnnxBackbone
from handful.core import BackboneError, MissingExtraError, did_you_mean, listed
from handful.images import Preprocess

if TYPE_CHECKING:
    from torch import nn

ENOUGH = 0.99  # share of a model's parameters that its weights must hold


def load_timm(
    name: str,
    *,
    weights: Path | None = None,
    download: bool = False,
    preprocess: dict[str, Any] | None = None,
) -> OnnxBackbone:
    """Return a timm model without its classifier as a backbone.

    Parameters
    ----------
    name : str
        A name of ``timm.list_models()``, with or without a tag.
    weights : Path, optional
        A ``.safetensors`` file, or a ``.pth`` read with ``weights_only=True``.
        Without it the weights must be in the local cache of the hub.
    download : bool, default=False
        Fetch missing weights from the hub: the only way to the network.
    preprocess : dict, optional
        Fields of `Preprocess` that replace the weights' own.

    Raises
    ------
    BackboneError
        If the name is unknown, the weights are not here, or they hold under
        99 % of the parameters; the message lists what is missing.
    MissingExtraError
        If timm is not installed.
    """
    module, config = timm_module(name, weights=weights, download=download)
    settings = preprocess_of(config, preprocess)
    resize_input(module, settings.size)
    return from_torch(
        module, settings, mean=config["mean"], std=config["std"], name=f"timm:{name}",
        licence=config.get("license") or "unknown", pretrained_on=trained_on(name, weights),
    )  # fmt: skip


def timm_module(
    name: str, *, weights: Path | None = None, download: bool = False, scratch: bool = False
) -> tuple[nn.Module, dict[str, Any]]:
    """Return a timm model without its classifier, and the configuration of its weights.

    Parameters are those of `load_timm`; with ``scratch`` the weights are random
    (from torch's generator) and none are looked for.
    """
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError(f"Backbone 'timm:{name}'", str(error.name), "train") from error
    if not timm.is_model(name):
        raise BackboneError(
            f"timm has no model {name!r}{did_you_mean(name.split('.')[0], timm.list_models())}."
        )
    model = timm.create_model(name, pretrained=False)
    config = model.pretrained_cfg
    if not scratch:
        fill(model, read_weights(weights or _hub_file(name, config, download)), name)
    model.reset_classifier(0)
    return model, config


def preprocess_of(config: dict[str, Any], overrides: dict[str, Any] | None = None) -> Preprocess:
    """Return the preprocessing that timm's configuration states, fields of it replaced."""
    return Preprocess.from_dict({
        "size": config["input_size"][-1], "crop_pct": config["crop_pct"], "interpolation": config["interpolation"],
        **(overrides or {}),
    })  # fmt: skip


def resize_input(model: nn.Module, size: int) -> None:
    """Let a model that is bound to one input size take ``size`` pixels, its positions resampled."""
    bound_to = getattr(getattr(model, "patch_embed", None), "img_size", None)
    if bound_to is None or tuple(bound_to) == (size, size):
        return
    try:
        model.set_input_size(img_size=size)
    except (AttributeError, TypeError, AssertionError) as error:
        raise BackboneError(
            f"{type(model).__name__} takes images of {bound_to[0]} px only, not of {size} px."
        ) from error


def trained_on(name: str, weights: Path | None) -> str:
    """Return in words what a timm model's weights were trained on."""
    return (
        f"weights file {weights.name}"
        if weights
        else (name.partition(".")[2] or "timm's default weights")
    )


def _hub_file(name: str, config: dict[str, Any], download: bool) -> Path:
    """Return the weights file in the hub's cache, fetched first when that is allowed."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if not config.get("hf_hub_id"):
        raise BackboneError(f"timm names no weights for {name!r}. Give a file with --weights FILE.")
    for filename in ("model.safetensors", "pytorch_model.bin"):
        try:
            return Path(
                hf_hub_download(config["hf_hub_id"], filename, local_files_only=not download)
            )
        except LocalEntryNotFoundError:
            continue
        except Exception as error:  # the hub's client raises many types
            raise BackboneError(
                f"The weights of {name!r} could not be fetched: {str(error).splitlines()[0]}"
            ) from error
    raise BackboneError(
        f"The weights of {name!r} are not on this machine. Give a file with --weights FILE, "
        "or allow a download with --download."
    )


def cached_models() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and configuration of each timm model whose weights are in the hub's cache."""
    import timm
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return
    for name in sorted(repository.repo_id.partition("timm/")[2] for repository in repositories):
        if name and timm.is_model(name):
            yield name, timm.get_pretrained_cfg(name).to_dict()


def read_weights(path: Path) -> dict[str, Any]:
    """Return the tensors of a weights file by name; code in it never runs."""
    if not path.is_file():
        raise BackboneError(f"No such weights file: {str(path)!r}.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        import torch

        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # both readers raise types of their own
        raise BackboneError(
            f"{path.name!r} is not a readable weights file: {str(error).splitlines()[0]}"
        ) from error
    for key in ("state_dict", "model"):
        content = content.get(key, content)
    return dict(content)


def fill(model: nn.Module, weights: dict[str, Any], name: str) -> None:
    """Load ``weights`` into ``model``, refused when under 99 % of its parameters are there.

    The classifier does not count: a backbone is used without it.
    """
    head = tuple(f"{layer}." for layer in _classifier_names(model))
    own = {key: value for key, value in model.state_dict().items() if not key.startswith(head)}
    usable = {
        key: value for key, value in weights.items() if key in own and value.shape == own[key].shape
    }
    missing = sorted(set(own) - set(usable))
    found = sum(own[key].numel() for key in usable) / max(
        sum(value.numel() for value in own.values()), 1
    )
    if found < ENOUGH:
        raise BackboneError(
            f"The weights hold {100 * found:.1f} % of the parameters of {name!r}, fewer than 99 %. "
            f"Missing or of another shape: {listed(missing)}. Give the weights of this very model."
        )
    model.load_state_dict(usable, strict=False)


def _classifier_names(model: nn.Module) -> tuple[str, ...]:
    names = model.pretrained_cfg.get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)
