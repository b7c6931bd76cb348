import tensorflow as tf

from transform.kinds.text import text


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
