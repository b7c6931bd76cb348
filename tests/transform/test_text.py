import unicodedata

import tensorflow as tf

from transform.composed import composed
from transform.text import text


def words(*texts: bytes, max_tokens: int = 9) -> list[bytes]:
    values = tf.SparseTensor([[0, i] for i in range(len(texts))], tf.constant(texts, tf.string), [1, len(texts)])
    return text(values, max_tokens).values.numpy().tolist()


def test_words_of_any_script() -> None:
    titles = [
        ("Toy Story (1995)", ["toy", "story", "1995"]),
        ("l'été -- ÉTÉ", ["l", "été", "été"]),
        ("ΣΟΦΊΑ, Москва", ["σοφία", "москва"]),
        ("हिन्दी फ़िल्म", ["हिन्दी", "फ़िल्म"]),
        ("한국어 영화", ["한국어", "영화"]),
        ("東京物語 黒", ["東京", "京物", "物語", "黒"]),
        ("手機保護殼 蘋果", ["手機", "機保", "保護", "護殼", "蘋果"]),
        ("ワイヤレス", ["ワイ", "イヤ", "ヤレ", "レス"]),
        ("iPhone手機 5G", ["iphone", "手機", "5g"]),
        ("ที่รัก", ["ที่รั", "รัก"]),  # a mark stays with its character
        ("Cafe\u0301 CAFÉ Caf\u00e9", ["caf\u00e9"] * 3),
        ("C++ and C#, c; F#m", ["c++", "and", "c#", "c", "f#", "m"]),
        ("C++17/C# Disney+ 18+", ["c++", "17", "c#", "disney+", "18+"]),
        ("a+b x + y ++ #1 i++", ["a", "b", "x", "y", "1", "i++"]),
        ("a\x01b\x04", ["a", "b"]),
        ("!!! ...", []),
        ("", []),
    ]
    values = tf.sparse.from_dense([[title] for title, _ in titles])
    found = tf.RaggedTensor.from_sparse(text(values, 9)).to_list()
    for (title, expected), row in zip(titles, found, strict=True):
        assert [word.decode() for word in row] == expected, title


def test_first_words_only() -> None:
    assert words(b"a b c d", max_tokens=3) == [b"a", b"b", b"c"]


def test_several_texts_are_joined() -> None:
    assert words(b"one two", b"three") == [b"one", b"two", b"three"]
    assert words("東".encode(), "京".encode()) == ["東".encode(), "京".encode()]


def test_rows_do_not_mix() -> None:
    values = tf.SparseTensor([[0, 0], [2, 0], [3, 0]], ["東京", "京都", "c"], [4, 1])
    found = tf.RaggedTensor.from_sparse(text(values, 9)).to_list()
    assert [[word.decode() for word in row] for row in found] == [["東京"], [], ["京都"], ["c"]]


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert b"good" in words(b"good \xff\xfe")


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
