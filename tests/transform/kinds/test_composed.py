import unicodedata

import tensorflow as tf

from transform.kinds.composed import composed


def found(*texts: str) -> list[str]:
    return [text.decode() for text in composed(tf.constant([t.encode() for t in texts], tf.string)).numpy()]


def test_what_is_written_in_two_ways_is_one() -> None:
    texts = [
        ("Cafe\u0301", "Caf\u00e9"),
        ("Caf\u00e9", "Caf\u00e9"),
        ("e\u0302\u0323", "\u1ec7"),  # marks in the wrong order
        ("\u00ea\u0323", "\u1ec7"),  # a Vietnamese code page has it so
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8", "\ud55c\uad6d"),
        ("\u212b", "\u00c5"),  # the sign of the unit
        ("\u0958", "\u0915\u093c"),  # always taken apart
        ("a\u0301e\u0327 x\u0301", "\u00e1\u0229 x\u0301"),
        ("\U0001f44d ab", "\U0001f44d ab"),
        ("", ""),
    ]
    expected = [text for _, text in texts]
    assert [unicodedata.normalize("NFC", text) for text, _ in texts] == expected, "so says Python"
    assert found(*(text for text, _ in texts)) == expected


def test_every_character_in_both_forms() -> None:
    every = [chr(n) for n in range(1, 0x30000) if not 0xD800 <= n < 0xE000]
    every = [c for c in every if unicodedata.decomposition(c)] + [chr(n) for n in range(0xAC00, 0xAC80)]
    expected = [unicodedata.normalize("NFC", c) for c in every]
    assert found(*every) == expected
    assert found(*(unicodedata.normalize("NFD", c) for c in every)) == expected


def test_rows_do_not_mix_and_none_is_none() -> None:
    assert found() == []
    assert found("e", "\u0301", "é") == ["e", "\u0301", "é"]
