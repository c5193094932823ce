"""Words and numbers as a reader sees them: escaped, shortened, rounded honestly."""

from __future__ import annotations

import unicodedata
from datetime import datetime

from handful.core import Estimate

NO_NUMBER = "not measurable"
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def shown(text: str) -> str:
    r"""Return text that is safe and honest to show: what cannot be seen is written out.

    Control characters, characters that reverse the writing direction, lone
    surrogates (bytes of a file name that are not UTF-8) and code points that XML
    forbids become backslash escapes. HTML escaping is left to the template.

    Examples
    --------
    >>> shown("caf\udce9\x1b[31m.jpg")
    'caf\\xe9\\x1b[31m.jpg'
    >>> shown("evil\u202egpj.exe")
    'evil\\u202egpj.exe'
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_visible, text))


_JOINERS = "\u200c\u200d"  # needed inside words of many scripts and inside emoji


def _visible(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    hidden = unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    if (hidden and character not in _JOINERS) or code & 0xFFFE == 0xFFFE:
        return character.encode("unicode_escape").decode("ascii")
    return character


def sentence(text: str) -> str:
    """Return the text with a capital at its start and a full stop at its end.

    Examples
    --------
    >>> sentence("one label a class"), sentence("")
    ('One label a class.', '')
    """
    text = text.strip()
    return text and text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def shorten(text: str, most: int) -> str:
    """Return the text cut in its middle to at most ``most`` characters.

    Examples
    --------
    >>> shorten("a-very-long-class-name", 11)
    'a-ver…-name'
    """
    if len(text) <= most:
        return text
    head = most // 2
    return f"{text[:head]}…{text[len(text) - (most - head - 1) :]}"


def plural(n: int, noun: str, nouns: str | None = None) -> str:
    """Return the count with its noun, thousands grouped.

    Examples
    --------
    >>> plural(1, "class", "classes"), plural(12345, "image")
    ('1 class', '12,345 images')
    """
    return f"{n:,} {noun if n == 1 else nouns or noun + 's'}"


def joined(items: list[str], most: int = 4) -> str:
    """Return the items as a phrase, the ones after ``most`` counted.

    Examples
    --------
    >>> joined(["a", "b", "c"]), joined(list("abcdefg"))
    ('a, b and c', 'a, b, c, d and 3 more')
    """
    if len(items) > most + 1:
        items = [*items[:most], f"{len(items) - most} more"]
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def percent(value: float, decimals: int = 1) -> str:
    """Return a fraction in percent; a number short of 0 or 100 never rounds to it.

    Examples
    --------
    >>> percent(0.8), percent(0.9999), percent(1.0), percent(0.0004, 0)
    ('80.0 %', '99.9 %', '100 %', 'under 1 %')
    """
    step = 10.0**-decimals
    if value in (0.0, 1.0):
        return f"{100 * value:.0f} %"
    if 0 < 100 * value < step:
        return f"under {step:.{decimals}f} %"
    if 100 - step < 100 * value < 100:
        return f"{100 - step:.{decimals}f} %"
    return f"{100 * value:.{decimals}f} %"


def interval(estimate: Estimate, decimals: int = 1) -> str:
    """Return the bounds in percent, such as ``59.6–98.2 %``.

    Examples
    --------
    >>> interval(Estimate(0.9, 0.596, 0.982, 10, "accuracy", "test"))
    '59.6–98.2 %'
    """
    if not estimate.is_measured:
        return "–"
    low, high = (
        percent(bound, decimals).removesuffix(" %") for bound in (estimate.low, estimate.high)
    )
    return f"{low}–{high} %"


def measured(estimate: Estimate, decimals: int = 1) -> str:
    """Return value and interval, or that there is none.

    Examples
    --------
    >>> measured(Estimate(0.9, 0.596, 0.982, 10, "accuracy", "test"), 0)
    '90 % (60–98)'
    """
    if not estimate.is_measured:
        return NO_NUMBER
    return (
        f"{percent(estimate.value, decimals)} ({interval(estimate, decimals).removesuffix(' %')})"
    )


def points(value: float) -> str:
    """Return a difference of two fractions in percentage points, with its sign.

    Examples
    --------
    >>> points(0.031), points(-0.2)
    ('+3.1 points', '−20.0 points')
    """
    return f"{100 * value:+.1f} points".replace("-", "−")


def number(value: float) -> str:
    """Return a count or a number without needless digits.

    Examples
    --------
    >>> number(3.0), number(0.25), number(1234.5678)
    ('3', '0.25', '1,234.57')
    """
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}".rstrip("0").rstrip(".")


def moment(text: str) -> str:
    """Return an ISO time as a date to read, any other text as it is.

    Examples
    --------
    >>> moment("2026-11-24T22:41:07+00:00"), moment("yesterday")
    ('24 November 2026, 22:41 UTC', 'yesterday')
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return text
    zone = f" {time.tzname()}" if time.tzinfo else ""
    return f"{time.day} {_MONTHS[time.month - 1]} {time.year}, {time:%H:%M}{zone}"


def seconds(value: float | None) -> str:
    """Return a duration for a table.

    Examples
    --------
    >>> seconds(0.0123), seconds(3.21), seconds(185), seconds(None)
    ('0.01 s', '3.2 s', '3 min 5 s', '–')
    """
    if value is None:
        return "–"
    if value >= 60:
        return f"{int(value) // 60:,} min {int(value) % 60} s"
    return f"{value:.1f} s" if value >= 1 else f"{value:.2f} s"
