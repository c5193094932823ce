"""Matplotlib figures as SVG that belongs to a page: themed, accessible, the same every time.

The figures are drawn in stand-in colours that become CSS variables of the page,
so one drawing serves light, dark and paper. Names of classes never pass through
matplotlib, which would read ``$x$`` as mathematics and warn of scripts its font
lacks: a stand-in is drawn and replaced in the finished XML, which escapes it.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup

from handful.report.text import shorten, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, GRID, RIGHT, WRONG, BAND = (f"#00000{i}" for i in range(1, 7))
_VARIABLES = dict(
    zip(
        (INK, MUTED, GRID, RIGHT, WRONG, BAND),
        ("ink", "muted", "grid", "right", "wrong", "band"),
        strict=True,
    )
)
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 12,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 1,
    "axes.axisbelow": True,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 6,
    "ytick.major.pad": 8,
    "lines.solid_capstyle": "round",
}
_lock = threading.Lock()  # matplotlib's settings are global


def stand_in(position: int) -> str:
    """Return the text to draw in place of a name (see `drawn`)."""
    return f"@{position}@"


def drawn(
    draw: Callable[[Figure], None],
    size: tuple[int, int],
    *,
    title: str,
    names: Sequence[tuple[str, int]] = (),
) -> Markup:
    """Return a figure as inline SVG.

    Parameters
    ----------
    draw : callable
        Draws on an empty figure, in the colours of this module. Positions in
        pixels are fractions of ``size``.
    size : (int, int)
        Width and height in pixels.
    title : str
        What the figure shows, read aloud in its place.
    names : sequence of (str, int), default=()
        The texts that the stand-ins become, with the most characters shown; the
        full text is the tooltip.

    Returns
    -------
    Markup
        An ``<svg>`` element.
    """
    import matplotlib
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    with _lock, matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # about fonts that measure text only; the page's own font is shown
        matplotlib.rcdefaults()
        settings: dict[Any, Any] = matplotlib.rcParams
        settings.update(_STYLE | {"svg.hashsalt": shown(title)})
        figure = Figure(figsize=(size[0] / 72, size[1] / 72), dpi=72)
        figure.patch.set_visible(False)
        draw(figure)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    return _page_svg(buffer.getvalue(), size, title, names)


def _page_svg(
    content: bytes, size: tuple[int, int], title: str, names: Sequence[tuple[str, int]]
) -> Markup:
    root = ElementTree.fromstring(content)
    _drop_global_style(root)
    for element in root.iter():
        _themed(element)
        _named(element, names)
    _drop_unused_ids(root)
    root.attrib.clear()
    root.attrib.update(
        {"viewBox": f"0 0 {size[0]} {size[1]}", "role": "img", "aria-label": shown(title)}
    )
    root.set("style", f"--width: {size[0]}px")
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    text = ElementTree.tostring(root, encoding="unicode")
    return Markup(re.sub(r"\s*\n\s*", " ", text))


def _drop_global_style(root: ElementTree.Element) -> None:
    """Remove matplotlib's style sheet, which would hold for the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{{{_SVG}}}style", f"{{{_SVG}}}metadata"}:
                parent.remove(child)


def _themed(element: ElementTree.Element) -> None:
    style = element.get("style")
    if style:
        style = re.sub(r"\s*font(-family)?:[^;]*;?", _font_size_only, style)
        element.set(
            "style", re.sub(r"#00000[1-6]", lambda m: f"var(--{_VARIABLES[m[0]]})", style).strip()
        )


def _font_size_only(found: re.Match[str]) -> str:
    size = re.search(r"[\d.]+px", found[0])
    return f"font-size: {size[0]};" if size else ""


def _named(element: ElementTree.Element, names: Sequence[tuple[str, int]]) -> None:
    match = re.fullmatch(r"@(\d+)@", element.text or "")
    if match:
        name, most = names[int(match[1])]
        full = shown(name)
        element.text = shorten(full, most)
        if element.text != full:
            tip = ElementTree.SubElement(element, f"{{{_SVG}}}title")
            tip.text = full


def _drop_unused_ids(root: ElementTree.Element) -> None:
    """Keep only ids that are referred to: several figures share one page."""
    used = set()
    for element in root.iter():
        for value in element.attrib.values():
            used.update(re.findall(r"^#([\w.-]+)$|url\(#([\w.-]+)\)", value))
    kept = {a or b for a, b in used}
    for element in root.iter():
        if element.get("id") not in kept:
            element.attrib.pop("id", None)
