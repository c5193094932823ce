from __future__ import annotations

import pytest

from handful.backbones.wordpiece import WordPiece

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cafe", "hand", "##bag", "##s", "!", "-", "t", "日"]


@pytest.fixture
def tokenizer() -> WordPiece:
    return WordPiece(PIECES)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Handbags!", ["hand", "##bag", "##s", "!"]),
        ("CAFÉ", ["cafe"]),
        ("t-hand", ["t", "-", "hand"]),
        ("日日", ["日", "日"]),
        ("hand\t\u00a0bag", ["hand", "[UNK]"]),
        ("hand\u200b\x00bag", ["hand", "##bag"]),
        ("h" * 101, ["[UNK]"]),
        ("", []),
    ],
)
def test_cuts_as_bert_does(tokenizer: WordPiece, text: str, pieces: list[str]) -> None:
    assert [PIECES[number] for number in tokenizer.encode(text)] == ["[CLS]", *pieces, "[SEP]"]


def test_names_the_words_it_cannot_read(tokenizer: WordPiece) -> None:
    assert tokenizer.unknown_words("a handbag ☃!") == ["a", "☃"]
