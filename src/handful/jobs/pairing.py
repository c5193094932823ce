"""Train an image tower and a text tower on captions, watched on pairs that are kept apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from handful import __version__
from handful.adapt import Budget, Hardware, Recipe
from handful.backbones import from_torch, packaged_text, save_backbone
from handful.core import AdaptError, Array, Estimate, Int, stream, write_atomically
from handful.images import decode, may_pass
from handful.jobs.adaptation import kept_recipe
from handful.jobs.adapted import origin_facts
from handful.jobs.backbone import RUN_RECORD, BackboneChoice
from handful.jobs.captions import read_captions
from handful.jobs.class_texts import ClassText
from handful.jobs.reporting import as_json
from handful.jobs.workspace import white_of
from handful.measure import share
from handful.project import Image, Project
from handful.report import training_plot

if TYPE_CHECKING:
    from handful.adapt import HeldPairs, TrainingData

_METHOD, _TEMPLATE = "contrastive-text", "a photo of a {}"
_HELD_SHARE, _MOST_HELD, _FEWEST = 10, 1000, 4
_FROZEN_DIM = 384  # of the packaged text encoder


@dataclass(frozen=True)
class Pairing:
    """What can be chosen of a training on captions.

    Parameters
    ----------
    tower : str, default="efficientnet_lite0"
        The image tower: the packaged network, or ``"timm:NAME"``.
    weights, download, scratch
        Of the image tower, as in `Distillation`.
    size : int, default=96
        Side of the images in pixels.
    frozen_text : bool, default=False
        Keep the packaged text encoder as it is; the image tower alone learns (LiT).
    dim, width, layers : int, default=128, 128, 2
        Of the common vectors, and of the text transformer.
    loss : {"clip", "siglip"}, default="clip"
    batch_size : int, default=256
    chunk : int, optional
        Pairs at once in memory, by gradient caching; the whole batch by default.
    rate : float, default=1e-3
    budget : Budget, default=10 minutes
    hardware : Hardware, optional
    """

    tower: str = "efficientnet_lite0"
    weights: Path | None = None
    download: bool = False
    scratch: bool = False
    size: int = 96
    frozen_text: bool = False
    dim: int = 128
    width: int = 128
    layers: int = 2
    loss: Literal["clip", "siglip"] = "clip"
    batch_size: int = 256
    chunk: int | None = None
    rate: float = 1e-3
    budget: Budget = field(default_factory=lambda: Budget(600.0, "seconds"))
    hardware: Hardware = field(default_factory=Hardware)


@dataclass(frozen=True)
class PairResult:
    """What ``contrastive_text`` made.

    Parameters
    ----------
    folder : Path
        The run: a backbone, and unless the text encoder was frozen ``open_clip/``, which open_clip loads.
    sentence : str
    facts : dict
        The content of ``adapt.json``.
    """

    folder: Path
    sentence: str
    facts: dict[str, Any] = field(repr=False)


def contrastive_text(
    images: Path | str,
    captions: Path | str,
    *,
    settings: Pairing | None = None,
    random_state: int = 0,
    project_dir: Path | None = None,
    quiet: bool = False,
) -> PairResult:
    """Train a pair on captioned images; a run that was killed goes on when the call is made again.

    Parameters
    ----------
    images : Path or str
        The folder. Captioned images of its test split are not learnt from but watched, else a tenth is.
    captions : Path or str
        CSV with the columns ``path`` and ``caption``. Images without a caption are left aside.
    settings : Pairing, optional
    random_state : int, default=0
    project_dir : Path, optional
        Where the state is kept, ``.handful`` in the folder by default.
    quiet : bool, default=False
        Show no progress.

    Raises
    ------
    AdaptError, BackboneError, ProjectError
        As their names say.
    """
    from handful.adapt import open_clip

    open_clip()
    settings = settings or Pairing()
    with Project.open(Path(images), project_dir=project_dir) as project:
        project.scan(quiet=quiet).raise_if_empty()
        project.retry_unusable(may_pass)
        usable = project.images()
        texts = read_captions(Path(captions), project, usable)
        run = PairRun(project, usable, texts, settings, random_state, quiet)
        record = run.folder / RUN_RECORD
        if not record.is_file():
            content = json.dumps(as_json(run.trained()), indent=1, ensure_ascii=False)
            write_atomically(record, content.encode())
            run.clean()
    facts = json.loads(record.read_text(encoding="utf-8"))
    return PairResult(run.folder, facts["sentence"], facts)


@dataclass
class PairRun:
    """One training on the captions of one folder."""

    project: Project
    usable: Sequence[Image]
    captions: dict[str, list[str]]
    settings: Pairing
    random_state: int
    quiet: bool

    def __post_init__(self) -> None:
        if self.settings.width % 64:
            raise AdaptError(
                f"The width of the text transformer must be a multiple of 64. Got {self.settings.width}."
            )
        there = [image for image in self.usable if image.hash in self.captions]
        test = [image for image in there if image.split == "test"]
        rest = [image for image in there if image.split != "test"]
        if len(test) < _FEWEST:
            order = stream(self.random_state, _METHOD).permutation(len(rest))
            n = min(max(len(rest) // _HELD_SHARE, _FEWEST), _MOST_HELD)
            test = [*test, *(rest[row] for row in order[:n])]
            rest = [rest[row] for row in order[n:]]
        if len(rest) < _FEWEST:
            raise AdaptError(
                f"{len(there)} captioned images are too few: {_FEWEST} are watched, and {_FEWEST} more to learn "
                "from is the least. Caption more of them."
            )
        self.learnt, self.held = rest, test[:_MOST_HELD]
        content = [f"{i.hash} {i.label} {i.split} {self.captions.get(i.hash)}" for i in there]
        what = "\n".join([repr((self.settings, self.random_state)), *content])
        key = hashlib.blake2b(what.encode(), digest_size=4).hexdigest()
        self.folder = self.project.folder / "runs" / f"adapt-{_METHOD}-{key}"

    def trained(self) -> dict[str, Any]:
        """Train, save and look at the pair; return what is recorded."""
        from handful.adapt import ContrastiveText, new_towers, read_log, save_pair, train

        own = self.settings
        names = sorted({i.label for i in self.held if i.label is not None})
        classes = [_TEMPLATE.format(ClassText(name.rpartition("/")[2]).spoken) for name in names]
        mine = [text for image in self.learnt for text in self.captions[image.hash]]
        shown = sorted({self.captions[image.hash][0] for image in self.held})
        encoded = self._encoded([*mine, *shown, *classes])
        towers = new_towers(
            own.tower, size=own.size, dim=_FROZEN_DIM if own.frozen_text else own.dim,
            context=None if own.frozen_text else encoded.shape[1], loss=own.loss, width=own.width,
            layers=own.layers, weights=own.weights, download=own.download, scratch=own.scratch,
            random_state=self.random_state,
        )  # fmt: skip
        counts = [len(self.captions[image.hash]) for image in self.learnt]
        method = ContrastiveText(
            towers.image, towers.model.text if towers.model else None, texts=encoded[: len(mine)],
            first=np.cumsum([0, *counts]), size=own.size, loss=own.loss, chunk=own.chunk,
        )  # fmt: skip
        end = len(mine) + len(shown)
        look = self._look(towers.found, encoded[len(mine) : end], encoded[end:], shown, names)
        data = self._data(towers.found)
        recipe = train(
            method, data, self._planned(method, data), self.folder, look=look, hardware=own.hardware,
            quiet=self.quiet,
        )  # fmt: skip
        method.cpu()
        if towers.model is not None:
            save_pair(towers, method, self.folder / "open_clip")
        self._exported(towers)
        plot = training_plot(read_log(self.folder), f"{_METHOD}, {len(self.learnt)} images")
        write_atomically(self.folder / "training.svg", plot.encode())
        bias = None if method.logit_bias is None else method.logit_bias.item()
        learnt = {"logit_scale": method.logit_scale.exp().item(), "logit_bias": bias}
        return self._facts(recipe, look.hits(method)) | learnt

    def clean(self) -> None:
        """Remove the states and the decoded images of a run that is done."""
        for path in [*self.folder.glob("state-*.safetensors"), self.folder / "checkpoint.json",
                     *(self.folder / "pixels").glob("*.npy")]:  # fmt: skip
            path.unlink(missing_ok=True)

    def _encoded(self, texts: Sequence[str]) -> Any:
        """Return tokens, or the vectors of the frozen encoder, of each text."""
        from handful.adapt import tokens_of

        if not self.settings.frozen_text:
            return tokens_of(texts)
        import torch

        different = sorted(set(texts))
        place = {text: row for row, text in enumerate(different)}
        vectors = packaged_text().embed_text(different)
        return torch.from_numpy(vectors[[place[text] for text in texts]])

    def _look(
        self, found: Any, texts: Any, class_texts: Any, shown: list[str], names: list[str]
    ) -> HeldPairs:
        from handful.adapt import HeldPairs

        squares = np.stack([decode(image.path, self._preprocess(found)) for image in self.held])
        own = np.array([shown.index(self.captions[image.hash][0]) for image in self.held])
        codes = np.array([-1 if i.label is None else names.index(i.label) for i in self.held])
        told_apart = class_texts if len(names) > 1 else None
        return HeldPairs(squares, texts, own, told_apart, codes, found.mean, found.std)

    def _preprocess(self, found: Any) -> Any:
        white = white_of(self.project, list(self.usable))
        return found.preprocess if white is None else replace(found.preprocess, white=white)

    def _data(self, found: Any) -> TrainingData:
        from handful.adapt import Pixels, TrainingData

        names = [image.hash for image in self.learnt]
        pixels = Pixels(
            [image.path for image in self.learnt], names, self._preprocess(found), self.folder / "pixels",
            quiet=self.quiet,
        )  # fmt: skip
        nothing: Int = np.full(len(names), -1)
        return TrainingData(pixels, names, nothing, found.mean, found.std)

    def _planned(self, method: Any, data: TrainingData) -> Recipe:
        """Return the recipe, its steps worked out once and kept in the run."""
        from handful.adapt import plan

        def make() -> Recipe:
            own = self.settings
            recipe = Recipe(
                steps=1, batch_size=own.batch_size, rate=own.rate, weight_decay=0.1, ema=0.99,
                random_state=self.random_state,
            )  # fmt: skip
            return plan(method, data, recipe, own.budget, own.hardware)

        return kept_recipe(self.folder, make)

    def _exported(self, towers: Any) -> None:
        """Write the image tower as a backbone; a caption may name a class, so labels count as seen."""
        found = towers.found
        before = "" if self.settings.scratch else f"{found.pretrained_on}, then "
        backbone = from_torch(
            towers.image.eval(), self._preprocess(found), mean=found.mean, std=found.std,
            name=f"{self.settings.tower}+{_METHOD}", licence=found.licence,
            pretrained_on=f"{before}{len(self.learnt)} captioned images of a folder",
        )  # fmt: skip
        seen = frozenset(image.hash for image in self.learnt)
        backbone.spec = replace(backbone.spec, saw_labels_of=seen)
        save_backbone(backbone, self.folder)

    def _facts(self, recipe: Recipe, hits: dict[str, Array]) -> dict[str, Any]:
        how = "captioned images that were not learnt from"
        figures = {
            name: share(int(own.sum()), len(own), name.replace("_", " "), how)
            for name, own in hits.items()
        }
        left = len(self.usable) - len(self.captions)
        return {
            "format_version": 1, "handful": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"), "method": _METHOD,
            "random_state": self.random_state, "origin": origin_facts(BackboneChoice()),
            "settings": {key: str(value) for key, value in asdict(self.settings).items()},
            "recipe": asdict(recipe), "n_images": len(self.learnt), "held": len(self.held),
            "without_caption": left, "better": None, "kept": True, "figures": figures,
            "sentence": _sentence(figures, len(self.learnt), left),
        }  # fmt: skip


def _sentence(figures: dict[str, Estimate], learnt: int, left: int) -> str:
    text, image = figures["text_recall_1"], figures["image_recall_1"]
    said = (
        f"Learnt from {learnt} captioned images. Of {text.n} others {text.percent} find their caption first among "
        f"{image.n}, and {image.percent} of these captions find an image of theirs first."
    )
    zero = figures.get("zero_shot")
    if zero is not None:
        said += (
            f" By the names of the classes alone {zero.percent} of {zero.n} images are classified "
            "rightly."
        )
    return said + (f" {left} images have no caption and were left aside." if left else "")
