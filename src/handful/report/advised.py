"""The plans of `handful advise`: read from JSON, said in words for a page, and in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from handful.core import Estimate
from handful.report.node import Node
from handful.report.text import interval, percent, plural, sentence, shown


@dataclass(frozen=True)
class PlanFacts:
    """One plan."""

    name: str
    title: str
    accuracy: Estimate
    minutes: float
    labels: int
    command: str
    ruled_out: str

    @property
    def cost(self) -> str:
        """Time and labels in words."""
        time = "seconds" if self.minutes < 1 else f"about {self.minutes:.0f} min"
        return f"{time}, {plural(self.labels, 'label')}" if self.labels else time

    @property
    def expected(self) -> str:
        """The accuracy to expect in words."""
        accuracy = self.accuracy
        if not accuracy.is_measured:
            return "no forecast"
        return f"{percent(accuracy.value)} ({interval(accuracy).removesuffix(' %')})"

    @property
    def evidence(self) -> str:
        """What the accuracy rests on, in a sentence; empty where nothing is said."""
        return sentence(shown(self.accuracy.how)) if self.accuracy.how else ""

    @property
    def why_not(self) -> str:
        """Why it is ruled out, in a sentence."""
        return sentence(shown(self.ruled_out))


@dataclass(frozen=True)
class AdviceFacts:
    """Ranked plans, and what was made of them."""

    sentence: str
    executed: str
    why: str
    plans: tuple[PlanFacts, ...]
    seen: tuple[str, ...]

    @property
    def able(self) -> tuple[PlanFacts, ...]:
        """Plans that can be carried out, the best first."""
        return tuple(plan for plan in self.plans if not plan.ruled_out)

    @property
    def ruled_out(self) -> tuple[PlanFacts, ...]:
        """The others."""
        return tuple(plan for plan in self.plans if plan.ruled_out)


def read_advice(node: Node) -> AdviceFacts | None:
    """Return the advice of a report, None without one."""
    if not node:
        return None
    return AdviceFacts(
        sentence=node["sentence"].text(),
        executed=node["executed"].text(),
        why=node["why"].text(),
        plans=tuple(_plan(row) for row in node["plans"].rows()),
        seen=tuple(_seen(node["data"], node["machine"])),
    )


def advice_table(advice: dict[str, Any]) -> Group:
    """Return what `handful advise` prints: the plans in order, each with its cost, command and evidence.

    Parameters
    ----------
    advice : dict
        Of `handful.advise.Advice.as_dict`.

    Examples
    --------
    >>> from rich.console import Console
    >>> plan = {"title": "Linear probe", "command": "handful fit photos", "minutes": 0.1}
    >>> Console(width=70).print(advice_table({"sentence": "Try it.", "plans": [plan]}))
    Try it.
    <BLANKLINE>
    1  Linear probe  no forecast  seconds
       handful fit photos
    """
    facts = read_advice(Node(advice, "advice"))
    assert facts is not None
    parts: list[RenderableType] = [Text(line, style="dim") for line in facts.seen]
    parts += [Text(shown(facts.sentence), style="bold")]
    for place, plan in enumerate(facts.able, 1):
        parts += [Text(""), *_lines(place, plan)]
    if facts.ruled_out:
        parts += [Text(""), Text("Not here:", style="dim"), _reasons(facts.ruled_out)]
    return Group(*parts)


def plans_as_text(advice: dict[str, Any]) -> dict[str, Any]:
    """Return the same for a page that is not a report: texts by name, as JSON values.

    Parameters
    ----------
    advice : dict
        Of `handful.advise.Advice.as_dict`.
    """
    facts = read_advice(Node(advice, "advice"))
    assert facts is not None
    able = [
        {
            "title": plan.title,
            "expected": plan.expected,
            "cost": plan.cost,
            "command": shown(plan.command),
            "evidence": plan.evidence,
        }
        for plan in facts.able
    ]
    ruled_out = [{"title": plan.title, "why": plan.why_not} for plan in facts.ruled_out]
    return {
        "sentence": shown(facts.sentence), "seen": list(facts.seen), "plans": able, "ruled_out": ruled_out,
    }  # fmt: skip


def _plan(row: Node) -> PlanFacts:
    return PlanFacts(
        name=row["name"].text(),
        title=row["title"].text(),
        accuracy=row["accuracy"].estimate(),
        minutes=row["minutes"].number() or 0.0,
        labels=row["labels"].count() or 0,
        command=row["command"].text(),
        ruled_out=row["ruled_out"].text(),
    )


def _seen(data: Node, machine: Node) -> Iterator[str]:
    """Yield what the data and the machine look like, a line a kind of fact."""
    if not data:
        return
    classes = [row.count() or 0 for _, row in data["classes"].items()]
    images, unlabelled = data["images"].count() or 0, data["unlabelled"].count() or 0
    labels = _labels(classes)
    yield (
        f"{plural(images, 'image')}, {unlabelled:,} unlabelled; {plural(len(classes), 'class', 'classes')}, {labels}"
        + _near(data)
    )
    yield "; ".join(_kind(data)) or "Nothing is known of what they show"
    if machine:
        memory = machine["memory"].number()
        yield (
            plural(machine["cores"].count() or 0, "core")
            + (f", {memory:.0f} GB" if memory is not None else "")
            + (", torch" if machine["torch"].flag() else ", no torch")
            + (", a GPU" if machine["gpu"].flag() else ", no GPU")
        )


def _labels(classes: list[int]) -> str:
    if not classes:
        return "no label"
    few, many = min(classes), max(classes)
    return f"{few} to {many} labels a class" if few < many else f"{plural(many, 'label')} a class"


def _near(data: Node) -> str:
    pairs = data["near_duplicates"].count() or 0
    return f"; {plural(pairs, 'pair')} of near-duplicates" if pairs else ""


def _kind(data: Node) -> Iterator[str]:
    side, least = data["side"].count(), data["smallest_side"].count()
    if side is not None and least is not None:
        yield f"Shorter side {side:,} pixels (smallest {least:,})"
    distance = data["distance"].number()
    if distance is not None:
        yield f"what the backbone was trained on is {_distance(distance)} ({distance:.2f} of 1)"
    neighbours, doubted = data["purity"].estimate(), data["doubted"].estimate()
    if neighbours.is_measured:
        yield f"{percent(neighbours.value, 0)} of nearest neighbours share the class"
    if doubted.is_measured and doubted.value > 0:
        yield f"{percent(doubted.value, 0)} of labels are in doubt (most images may just be hard)"


def _distance(value: float) -> str:
    return "near" if value < 0.5 else "some way off" if value < 0.7 else "far away"


def _lines(place: int, plan: PlanFacts) -> list[RenderableType]:
    head = Table.grid(padding=(0, 2))
    head.add_row(str(place), Text(plan.title, "bold"), plan.expected, plan.cost)
    lines: list[RenderableType] = [
        head,
        Padding(Text(shown(plan.command), "green"), (0, 0, 0, 3), expand=False),
    ]
    if plan.evidence:
        lines.append(Padding(Text(plan.evidence, "dim"), (0, 0, 0, 3), expand=False))
    return lines


def _reasons(plans: tuple[PlanFacts, ...]) -> Padding:
    table = Table.grid(padding=(0, 2))
    for plan in plans:
        table.add_row(plan.title, Text(plan.why_not, "dim"))
    return Padding(table, (0, 0, 0, 3), expand=False)
