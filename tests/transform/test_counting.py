from pathlib import Path

import apache_beam as beam
import numpy as np
from apache_beam.testing.util import assert_that, equal_to

from transform.counting import VocabularyFile, WriteVocabularies, count_batch


def column(*tokens: str) -> np.ndarray:
    return np.array([token.encode() for token in tokens], dtype=object)


def test_counts_and_weights_add_up_by_token() -> None:
    first = column("b", "a", "b"), np.array([1, 1, 2]), np.array([0, 5, 7])
    second = column(), np.array([], np.int64), np.array([], np.int64)
    third = column("b"), np.array([4]), np.array([4])
    assert list(count_batch((*first, *second, *third))) == [
        ((0, b"b"), (3, 7)),
        ((0, b"a"), (1, 5)),
        ((2, b"b"), (4, 4)),
    ]


def test_tokens_that_a_text_file_cannot_hold_are_left_out() -> None:
    ones = np.ones(5, np.int64)
    counted = list(count_batch((column("", "a\nb", "a\rb", "a b", "a\tb"), ones, ones)))
    assert [token for (_, token), _ in counted] == [b"a b", b"a\tb"]


def test_files_are_cut_and_ordered_over_all_batches(tmp_path: Path) -> None:
    one, two = np.ones(2, np.int64), np.full(2, 2, np.int64)
    nothing = column(), np.array([], np.int64), np.array([], np.int64)
    batches = [(column("x", "y"), one, one, *nothing), (column("z", "y"), two, one, *nothing)]
    files = [VocabularyFile("letters", "weights", min_count=2, max_values=2), VocabularyFile("none")]
    transform = WriteVocabularies(files)
    transform.base_temp_dir = str(tmp_path)
    with beam.Pipeline(options=beam.options.pipeline_options.PipelineOptions(["--direct_running_mode=in_memory"])) as p:
        letters, weights, none = p | beam.Create(batches) | transform
        for file, name in ((letters, "letters"), (weights, "weights"), (none, "none")):
            assert_that(file, equal_to([str(tmp_path / name)]), label=name)
    # x: count 1, cut; y: count 3, weight 2; z: count 2, weight 1.
    assert (tmp_path / "letters").read_bytes() == b"y\nz\n"
    assert (tmp_path / "weights").read_bytes() == b"2 y\n1 z\n"
    assert (tmp_path / "none").read_bytes() == b"\x00\n"
