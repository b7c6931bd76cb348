"""What a TensorFlow Serving 2.21 said of files with these contents."""

import pytest

from serving.parse_end import reads_past_the_end

MODEL = b"\x08\x01\x12\x28" + b"m" * 40


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (MODEL[:20], True),
        (MODEL + b"\x08", True),
        (MODEL + b"\x7a\xe8\x07 is shorter than 1000 bytes", True),
        (MODEL + b"\x08" + b"\xff" * 11, True),
        (b"\x08\x01 no model", True),
        (b"oo" + MODEL, False),
        (b"\x7a\xff\xff\xff\xff\x0f" + MODEL, False),
        (b"\x08" + b"\xff" * 11 + MODEL, False),
        (MODEL + b"\x03" + b"\x08\x01" * 7, True),  # a tag of no field, among the last 16 bytes
        (MODEL + b"\x03" + b"\x08\x01" * 8, False),
        (MODEL + b"\x00", False),  # ends the message wherever it is
        (MODEL + b"\x04", False),
        (MODEL, False),  # what is wrong is inside
    ],
)
def test_reads_past_the_end(data: bytes, expected: bool) -> None:
    assert reads_past_the_end(data) is expected
