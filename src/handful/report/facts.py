"""The report as typed facts, read from its JSON once and checked on the way.

Everything may be missing or null: a section that is not there is empty, a number
that is not there is an estimate that is not measured. A value of a wrong kind is
an error that names its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from handful.core import BundleError, Estimate
from handful.report.advised import AdviceFacts, read_advice
from handful.report.named import Names, ZeroShot, read_names, read_zero_shot
from handful.report.node import Node

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Count:
    """A class, a split or a reason, with its number of images."""

    name: str
    n: int


@dataclass(frozen=True)
class Pair:
    """Two images that show the same."""

    a: str
    b: str
    label_a: str | None
    label_b: str | None


@dataclass(frozen=True)
class Contradiction:
    """One picture under several labels."""

    names: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Data:
    """What is in the folder."""

    images: int | None
    labelled: int | None
    unlabelled: int | None
    classes: tuple[Count, ...]
    splits: tuple[tuple[str, str], ...]
    unusable: tuple[tuple[str, str], ...]
    near_duplicates: tuple[Pair, ...]
    contradictions: tuple[Contradiction, ...]
    counts: tuple[tuple[str, int], ...] = ()

    def count(self, of: str) -> int:
        """Return the number of a list's entries, also where a bundle holds the number alone."""
        return len(getattr(self, of)) or dict(self.counts).get(of, 0)


@dataclass(frozen=True)
class Method:
    """One head that was compared."""

    name: str
    accuracy: Estimate
    seconds: float | None
    chosen: bool


@dataclass(frozen=True)
class ClassResult:
    """How one class fares."""

    name: str
    n: int
    recall: Estimate
    precision: Estimate


@dataclass(frozen=True)
class Confusion:
    """Counts of true (rows) against predicted classes (columns)."""

    classes: tuple[str, ...] = ()
    counts: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Bin:
    """Images of similar confidence, and how many of them were right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: Estimate


@dataclass(frozen=True)
class Point:
    """Accuracy at a number of labels."""

    labels: int
    accuracy: Estimate


@dataclass(frozen=True)
class Gain:
    """What more labels are expected to bring."""

    labels: int
    gain: Estimate
    sentence: str


@dataclass(frozen=True)
class Held:
    """The result on a test split that was never trained on."""

    n: int
    accuracy: Estimate


@dataclass(frozen=True)
class Adapted:
    """A linear probe on the vectors of the original backbone and of the adapted one."""

    before: Estimate
    after: Estimate
    gain: Estimate


@dataclass(frozen=True)
class Picture:
    """An image worth a look, by its name, with what is said of it."""

    name: str
    label: str | None
    prediction: str
    confidence: float | None


@dataclass(frozen=True)
class Change:
    """By how much the recall of one class changed, in the share of its ``n`` tested images."""

    name: str
    n: int
    gain: float


@dataclass(frozen=True)
class Unlabelled:
    """What unlabelled images brought."""

    there: int
    n: int
    copies: int
    used: bool
    why_not: str
    reason: str
    gain: Estimate
    per_class: tuple[Change, ...]
    trusted: tuple[Picture, ...]
    doubted: tuple[Picture, ...]


@dataclass(frozen=True)
class Facts:
    """One report, read."""

    handful: str
    created: str
    random_state: str
    seconds: tuple[tuple[str, float | None], ...]
    versions: tuple[tuple[str, str], ...]
    data: Data
    backbone: tuple[tuple[str, str], ...]
    adapted: Adapted | None
    advice: AdviceFacts | None
    unlabelled: Unlabelled | None
    zero_shot: ZeroShot | None
    names: Names | None
    methods: tuple[Method, ...]
    chosen: str
    why: str
    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_f1: Estimate
    ece: Estimate
    per_class: tuple[ClassResult, ...]
    confusion: Confusion
    reliability: tuple[Bin, ...]
    learning_curve: tuple[Point, ...]
    expected_gain: Gain | None
    test: Held | None
    open_set: tuple[tuple[str, str | Estimate], ...]
    operating_point: tuple[tuple[str, str | Estimate], ...]
    uncertain: tuple[Picture, ...]
    mislabelled: tuple[Picture, ...]

    @property
    def headline(self) -> Estimate:
        """The accuracy to lead with: by the labels, else by a test split, else none.

        A prediction gives way to what was measured on a test split.
        """
        if self.zero_shot is not None and self.test is not None:
            return self.test.accuracy
        if not self.accuracy.is_measured and self.test is not None:
            return self.test.accuracy if self.test.accuracy.is_measured else self.accuracy
        return self.accuracy

    @property
    def labelled(self) -> int:
        """Number of labels: as stated, or the sum over the classes."""
        stated = self.data.labelled
        return stated if stated is not None else sum(c.n for c in self.data.classes)


def read_facts(report: dict[str, Any]) -> Facts:
    """Return the facts of a report.

    Parameters
    ----------
    report : dict
        The content of ``report.json``. Any part may be missing or None.

    Raises
    ------
    BundleError
        If it was written by a newer handful, or a value is of a wrong kind.

    Examples
    --------
    >>> read_facts({}).accuracy.is_measured
    False
    """
    root = Node(report)
    version = root["format_version"].count()
    if version is not None and version > FORMAT_VERSION:
        raise BundleError(
            f"The report has format {version}; this handful reads up to {FORMAT_VERSION}. "
            "Update it with: pip install --upgrade handful"
        )
    return Facts(
        handful=root["handful"].text(),
        created=root["created"].text(),
        random_state=root["random_state"].words(),
        seconds=tuple((key, node.number()) for key, node in root["seconds"].items()),
        versions=tuple((key, node.words()) for key, node in root["versions"].items()),
        data=_data(root["data"]),
        backbone=tuple((key, node.words()) for key, node in root["backbone"].items()),
        adapted=_adapted(root["adapted"]),
        advice=read_advice(root["advice"]),
        unlabelled=_unlabelled(root["unlabelled"]),
        zero_shot=read_zero_shot(root["zero_shot"]),
        names=read_names(root["names"]),
        methods=tuple(_method(row) for row in root["methods"].rows()),
        chosen=root["chosen"]["name"].text(),
        why=root["chosen"]["why"].text(),
        **{
            key: root[key].estimate()
            for key in ("accuracy", "balanced_accuracy", "macro_f1", "ece")
        },
        per_class=tuple(_class_result(row) for row in root["per_class"].rows()),
        confusion=_confusion(root["confusion"]),
        reliability=tuple(b for row in root["reliability"].rows() if (b := _bin(row)) is not None),
        learning_curve=_curve(root["learning_curve"]),
        expected_gain=_gain(root["expected_gain"]),
        test=_held(root["test"]),
        open_set=root["open_set"].facts(),
        operating_point=root["operating_point"].facts(),
        uncertain=tuple(_picture(row, "confidence") for row in root["uncertain"].rows()),
        mislabelled=tuple(
            _picture(row, "confidence_in_label") for row in root["mislabelled"].rows()
        ),
    )


def _data(node: Node) -> Data:
    return Data(
        images=node["images"].count(),
        labelled=node["labelled"].count(),
        unlabelled=node["unlabelled"].count(),
        classes=tuple(
            Count(row["name"].text(), row["n"].count() or 0) for row in node["classes"].rows()
        ),
        splits=tuple((key, part.words()) for key, part in node["splits"].items()),
        unusable=tuple(
            (row["name"].text(), row["reason"].text()) for row in node["unusable"].rows()
        ),
        near_duplicates=tuple(
            Pair(row["a"].text(), row["b"].text(), row["label_a"].name(), row["label_b"].name())
            for row in node["near_duplicates"].rows()
        ),
        contradictions=tuple(
            Contradiction(_texts(row["names"]), _texts(row["labels"]))
            for row in node["contradictions"].rows()
        ),
        counts=tuple((key, part.count() or 0) for key, part in node["counts"].items()),
    )


def _texts(node: Node) -> tuple[str, ...]:
    return tuple(row.text() for row in node.rows())


def _method(row: Node) -> Method:
    return Method(
        row["name"].text(),
        row["accuracy"].estimate(),
        row["seconds"].number(),
        row["chosen"].flag(),
    )


def _adapted(node: Node) -> Adapted | None:
    if not node:
        return None
    return Adapted(*(node[key].estimate() for key in ("before", "after", "gain")))


def _unlabelled(node: Node) -> Unlabelled | None:
    if not node:
        return None
    return Unlabelled(
        there=node["there"].count() or 0,
        n=node["n"].count() or 0,
        copies=node["copies"].count() or 0,
        used=node["used"].flag(),
        why_not=node["why_not"].text(),
        reason=node["verdict"]["reason"].text(),
        gain=node["gain"].estimate(),
        per_class=tuple(
            Change(row["name"].text(), row["n"].count() or 0, row["gain"].number() or 0.0)
            for row in node["per_class"].rows()
        ),
        trusted=tuple(_picture(row, "confidence") for row in node["trusted"].rows()),
        doubted=tuple(_picture(row, "confidence") for row in node["doubted"].rows()),
    )


def _class_result(row: Node) -> ClassResult:
    return ClassResult(
        row["name"].text(),
        row["n"].count() or 0,
        row["recall"].estimate(),
        row["precision"].estimate(),
    )


def _confusion(node: Node) -> Confusion:
    classes = _texts(node["classes"])
    counts = tuple(
        tuple(cell.number() or 0.0 for cell in row.rows()) for row in node["counts"].rows()
    )
    if any(len(row) != len(classes) for row in (counts, *counts)) and (classes or counts):
        raise BundleError(
            f"The report is damaged: {node.place!r} must hold one row and one column of counts "
            f"for each of its {len(classes)} classes."
        )
    return Confusion(classes, counts) if any(map(any, counts)) else Confusion()


def _bin(row: Node) -> Bin | None:
    low, high, confidence = (row[key].number() for key in ("low", "high", "confidence"))
    n = row["n"].count() or 0
    if not n or confidence is None:
        return None
    return Bin(low or 0.0, 1.0 if high is None else high, n, confidence, row["accuracy"].estimate())


def _curve(node: Node) -> tuple[Point, ...]:
    found = [Point(row["labels"].count() or 0, row["accuracy"].estimate()) for row in node.rows()]
    return tuple(sorted(found, key=lambda point: point.labels))


def _gain(node: Node) -> Gain | None:
    if not node:
        return None
    return Gain(node["labels"].count() or 0, node["gain"].estimate(), node["sentence"].text())


def _held(node: Node) -> Held | None:
    return Held(node["n"].count() or 0, node["accuracy"].estimate()) if node else None


def _picture(row: Node, confidence: str) -> Picture:
    return Picture(
        row["name"].text(), row["label"].name(), row["prediction"].text(), row[confidence].number()
    )
