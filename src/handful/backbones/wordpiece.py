"""BERT's uncased WordPiece tokenizer, from a vocabulary file alone.

Source: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2019, section
3, https://arxiv.org/abs/1810.04805: text is cleaned, lower-cased, stripped of accents, split at
spaces, punctuation and Chinese characters; each word becomes its longest known pieces.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

UNKNOWN, START, END = "[UNK]", "[CLS]", "[SEP]"
_LONGEST_WORD = 100
_CHINESE = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class WordPiece:
    """Text to the numbers of its pieces.

    Parameters
    ----------
    vocabulary : sequence of str
        The pieces; a piece's number is its place. A piece inside a word begins with ``##``.

    Examples
    --------
    >>> pieces = WordPiece(["[UNK]", "[CLS]", "[SEP]", "hand", "##bag", "!"])
    >>> pieces.encode("Handbag!"), pieces.unknown_words("Handbag ☃")
    ([1, 3, 4, 5, 2], ['☃'])
    """

    def __init__(self, vocabulary: list[str]) -> None:
        self._number = {piece: number for number, piece in enumerate(vocabulary)}

    @classmethod
    def from_file(cls, path: Path) -> WordPiece:
        """Return the tokenizer of a ``vocab.txt``, one piece a line."""
        return cls(path.read_text(encoding="utf-8").rstrip("\n").split("\n"))

    def encode(self, text: str) -> list[int]:
        """Return the numbers of the pieces between the marks of start and end."""
        pieces = [piece for word in _words(text) for piece in self._pieces(word)]
        return [self._number[piece] for piece in (START, *pieces, END)]

    def unknown_words(self, text: str) -> list[str]:
        """Return the words of a text that the vocabulary has no pieces for."""
        return [word for word in _words(text) if self._pieces(word) == [UNKNOWN]]

    def _pieces(self, word: str) -> list[str]:
        """Return the longest pieces from the left, or one unknown piece."""
        pieces, start = [], 0
        while start < len(word) <= _LONGEST_WORD:
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((e for e in ends if mark + word[start:e] in self._number), None)
            if end is None:
                return [UNKNOWN]
            pieces.append(mark + word[start:end])
            start = end
        return pieces or [UNKNOWN]


def _words(text: str) -> Iterator[str]:
    """Yield lower-case words without accents, each mark of punctuation by itself."""
    word = ""
    for character in unicodedata.normalize("NFD", _cleaned(text).lower()):
        kind = unicodedata.category(character)
        alone = _is_punctuation(character, kind) or _is_chinese(character)
        if word and (alone or character == " "):
            yield word
            word = ""
        if alone:
            yield character
        elif character != " " and kind != "Mn":
            word += character
    if word:
        yield word


def _cleaned(text: str) -> str:
    """Return the text without control characters, every kind of space as a blank."""
    kept = []
    for character in text:
        kind = unicodedata.category(character)
        if character in "\t\n\r" or kind == "Zs":
            kept.append(" ")
        elif character not in "\0\ufffd" and kind not in {"Cc", "Cf", "Co", "Cs"}:
            kept.append(character)
    return "".join(kept)


def _is_punctuation(character: str, kind: str) -> bool:
    code = ord(character)
    ascii_mark = 33 <= code <= 126 and not character.isalnum()
    return ascii_mark or kind.startswith("P")


def _is_chinese(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in _CHINESE)
