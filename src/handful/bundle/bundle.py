"""One file that classifies new images: saved, verified, loaded and run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handful.backbones import BackboneSpec, OnnxBackbone, parse_onnx, session
from handful.bundle.archive import read_archive, write_archive
from handful.bundle.graph import OUTPUTS, join
from handful.bundle.verify import verify
from handful.core import Array, BackboneError, BundleError, Float32, UInt8
from handful.embeddings import batch_size, run_batches
from handful.images import Preprocess


@dataclass(frozen=True)
class Prediction:
    """What a bundle says of one image.

    Parameters
    ----------
    label : str
        The most probable class.
    confidence : float
        The calibrated probability of ``label``, in ``[0, 1]``.
    known : float
        How much the image is like the labelled ones, in ``[0, 1]``: the share
        of labelled images that are less typical.
    is_known : bool
        Whether ``known`` reaches the bundle's threshold.
    probabilities : dict of str to float
        One for each class; they sum to 1.
    flagged : str or None
        The class that must not be missed (``--max-miss``), where its probability
        reaches the threshold chosen for it; it need not be the label.
    """

    label: str
    confidence: float
    known: float
    is_known: bool
    probabilities: dict[str, float]
    flagged: str | None = None


class Bundle:
    """A model file, ready to run with ONNX Runtime, numpy and Pillow.

    Use `Bundle.load`; `save_bundle` writes one.

    Parameters
    ----------
    model : bytes
        The serialised graph, checked.
    info : dict
        ``bundle.json``.
    report : dict
        ``report.json``: how the model was measured.
    device : {"cpu", "cuda"}, default="cpu"
    """

    def __init__(
        self, model: bytes, info: dict[str, Any], report: dict[str, Any], device: str = "cpu"
    ) -> None:
        self.info, self.report = info, report
        self.classes: list[str] = info["classes"]
        self.preprocess = Preprocess.from_dict(info["preprocess"])
        self.threshold: float = info["thresholds"]["known"]
        self._session = session(model, device)

    @classmethod
    def load(cls, path: Path | str, *, device: str = "cpu") -> Bundle:
        """Return the bundle in a file, to run on ``"cpu"`` or ``"cuda"``.

        Raises
        ------
        BundleError
            If the file is damaged, foreign or unsafe. Nothing in it is run
            before it was checked.
        """
        path = Path(path)
        model, info, report = read_archive(path)
        try:
            _check_info(info)
            _check_graph(parse_onnx(model, path.name), info, path.name)
            return cls(model, info, report, device)
        except BundleError:
            raise
        except BackboneError as error:
            raise BundleError(str(error)) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(
                f"{path.name!r} is damaged: its bundle.json lacks or has a wrong {error}."
            ) from error
        except Exception as error:  # ONNX Runtime raises types of its own
            raise BundleError(
                f"{path.name!r} holds a graph that does not run: {str(error).splitlines()[0]}"
            ) from error

    def infer(self, images: UInt8) -> tuple[Float32, Float32, Float32]:
        """Return probabilities [n, n_classes], known scores [n] and vectors [n, dim] of preprocessed images."""
        most = batch_size(self.preprocess) if self.preprocess.tiles > 1 else max(len(images), 1)
        parts = [
            self._session.run(list(OUTPUTS), {"images": images[start : start + most]})
            for start in range(0, max(len(images), 1), most)
        ]
        probabilities, known, embedding = map(np.concatenate, zip(*parts, strict=True))
        return probabilities, known, embedding

    def predict(
        self, sources: Sequence[Path | str | bytes], *, n_jobs: int | None = None
    ) -> Iterator[tuple[int, Prediction | str]]:
        """Classify image files as they are read, in order.

        Parameters
        ----------
        sources : sequence of Path, str or bytes
            Paths, or the contents of image files.
        n_jobs : int, optional
            Threads; the usable cores by default.

        Yields
        ------
        position : int
            In ``sources``.
        prediction : Prediction or str
            A string is the reason why this image could not be used.
        """
        files = [Path(source) if isinstance(source, str) else source for source in sources]
        for batch in run_batches(files, self.preprocess, self.infer, n_jobs=n_jobs):
            rows: dict[int, Prediction | str] = dict(batch.failed)
            if batch.done:
                rows.update(
                    zip(batch.done, self.describe(batch.outputs[0], batch.outputs[1]), strict=True)
                )
            yield from sorted(rows.items())

    def describe(self, probabilities: Array, known: Array) -> list[Prediction]:
        """Return the decision for each row of probabilities and known scores."""
        best = probabilities.argmax(axis=1)
        point = self.info["thresholds"].get("operating_point")
        reached = np.zeros(len(best), bool)
        if point:
            reached = probabilities[:, self.classes.index(point["class"])] >= point["threshold"]
        return [
            Prediction(
                label=self.classes[column],
                confidence=float(row[column]),
                known=float(score),
                is_known=bool(score >= self.threshold),
                probabilities={name: float(p) for name, p in zip(self.classes, row, strict=True)},
                flagged=point["class"] if flag else None,
            )
            for column, row, score, flag in zip(best, probabilities, known, reached, strict=True)
        ]

    def drift(self, mean_embedding: Float32, n: int) -> float:
        """Return how far the mean vector of ``n`` images is from the training images'.

        1 is what chance gives for images of the same kind; 2 and more is a
        change worth a look.

        Parameters
        ----------
        mean_embedding : ndarray of shape (dim,)
        n : int
            Number of images in the mean, at least 1.
        """
        reference = self.info["reference"]
        mean, std, size = np.array(reference["mean"]), np.array(reference["std"]), reference["n"]
        alive = std > 0
        expected = std[alive] * np.sqrt(1 / n + 1 / size)
        return (
            float(np.sqrt(np.mean(((mean_embedding[alive] - mean[alive]) / expected) ** 2)))
            if alive.any()
            else 0.0
        )


def save_bundle(
    path: Path,
    *,
    backbone: OnnxBackbone,
    head: Any,
    known: Any,
    info: dict[str, Any],
    report: dict[str, Any],
    images: UInt8,
) -> Bundle:
    """Write a bundle, prove that it answers as Python does, and return it loaded.

    Parameters
    ----------
    path : Path
        The file, replaced in one step.
    backbone : OnnxBackbone
        The network.
    head : classifier
        Fitted on its vectors; has ``to_onnx`` and ``classes_``.
    known : KnownScorer
        Fitted; has ``to_onnx``, ``score`` and ``threshold_``.
    info : dict
        Further facts for ``bundle.json``; ``thresholds`` and ``reference`` among them.
    report : dict
        What was measured; must hold no path of a training image.
    images : ndarray of shape (n, side, side, 3), uint8
        Real images to compare the graph with Python on.

    Raises
    ------
    BundleError
        If the graph and Python differ; nothing is written then.
    """
    model = join(backbone.model, head.to_onnx(), known.to_onnx())
    content = model.SerializeToString()
    facts = {
        **info,
        "classes": [str(name) for name in head.classes_],
        "preprocess": backbone.spec.preprocess.to_dict(),
        "backbone": spec_facts(backbone.spec),
        "thresholds": {"known": float(known.threshold_), **info.get("thresholds", {})},
    }
    bundle = Bundle(content, facts, report)
    verify(bundle.infer(images), backbone, head, known, images)
    write_archive(path, content, facts, report)
    return bundle


def n_weights(path: Path) -> int:
    """Return how many numbers the network and the classifier of a bundle hold, the known score left out."""
    model = parse_onnx(read_archive(path)[0], path.name)
    tensors = [t for t in model.graph.initializer if not t.name.startswith("known/")]
    return sum(int(np.prod(tensor.dims)) for tensor in tensors)


def spec_facts(spec: BackboneSpec) -> dict[str, Any]:
    """Return what a bundle and a report say of a backbone."""
    return {
        "name": spec.name, "fingerprint": spec.fingerprint, "dim": spec.dim, "licence": spec.licence,
        "pretrained_on": spec.pretrained_on, "preprocess": spec.preprocess.to_dict(),
    }  # fmt: skip


def _check_info(info: dict[str, Any]) -> None:
    """Raise ValueError, or what Python raises, where a prediction would find something wrong."""
    classes, thresholds = info["classes"], info["thresholds"]
    point = thresholds.get("operating_point") or {"class": classes[0], "threshold": 0.5}
    is_right = {
        "classes": isinstance(classes, list) and all(isinstance(name, str) for name in classes),
        "thresholds": isinstance(thresholds["known"], int | float),
        "operating_point": point["class"] in classes
        and isinstance(point["threshold"], int | float),
    }
    if wrong := [key for key, right in is_right.items() if not right]:
        raise ValueError(repr(wrong[0]))


def _check_graph(model: Any, info: dict[str, Any], name: str) -> None:
    inputs, outputs = (
        [value.name for value in model.graph.input],
        [value.name for value in model.graph.output],
    )
    if inputs != ["images"] or outputs != list(OUTPUTS):
        raise BundleError(f"{name!r} is not a handful model: its graph maps {inputs} to {outputs}.")
    side, n_classes = Preprocess.from_dict(info["preprocess"]).side, len(info["classes"])
    image, probabilities = _widths(model.graph.input[0]), _widths(model.graph.output[0])
    if not image <= {0, side, 3} or not probabilities <= {0, n_classes}:
        raise BundleError(
            f"{name!r} is damaged: its graph is not one of {n_classes} classes and {side} pixels, "
            "as its bundle.json states."
        )


def _widths(value: Any) -> set[int]:
    """Return the sizes of all axes but the first; 0 stands for any."""
    return {axis.dim_value for axis in value.type.tensor_type.shape.dim[1:]}
