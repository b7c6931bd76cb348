import pytest
import tensorflow as tf

from transform.kinds.text import text


def words(*texts: bytes, max_tokens: int = 9) -> list[bytes]:
    values = tf.SparseTensor([[0, i] for i in range(len(texts))], tf.constant(texts, tf.string), [1, len(texts)])
    return text(values, max_tokens).values.numpy().tolist()


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Toy Story (1995)", ["toy", "story", "1995"]),
        ("l'été -- ÉTÉ", ["l", "été", "été"]),
        ("ΣΟΦΊΑ, Москва", ["σοφία", "москва"]),
        ("हिन्दी फ़िल्म", ["हिन्दी", "फ़िल्म"]),
        ("東京物語", ["東京物語"]),
        ("!!! ...", []),
        ("", []),
    ],
)
def test_words_of_any_script(title: str, expected: list[str]) -> None:
    assert [word.decode() for word in words(title.encode())] == expected


def test_first_words_only() -> None:
    assert words(b"a b c d", max_tokens=3) == [b"a", b"b", b"c"]


def test_several_texts_are_joined() -> None:
    assert words(b"one two", b"three") == [b"one", b"two", b"three"]


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert b"good" in words(b"good \xff\xfe")
