from pathlib import Path

import tensorflow as tf

from pipeline.infra.requests import Probe, batches, read_probes
from tests.pipeline.infra.conftest import window, write_split


def test_probes_exclude_the_target_and_end_with_a_request_that_knows_nothing(tmp_path: Path) -> None:
    files = write_split(tmp_path, [window(["a", "b"]), window(["c"]), window(["d", "e"])])
    first, second, nobody = read_probes(files, count=2, k=5, exclude_history=True)
    assert first.forbidden == {"a", "b"}
    assert second.forbidden == {"c"}
    assert nobody.forbidden == frozenset()
    features = tf.train.Example.FromString(first.example).features.feature
    assert list(features["exclude_item_id"].bytes_list.value) == [b"b"]
    assert list(features["k"].int64_list.value) == [5]
    assert set(tf.train.Example.FromString(nobody.example).features.feature) == {"k"}
    assert read_probes(files, count=1, k=5, exclude_history=False)[0].forbidden == {"b"}


def test_every_second_probe_is_asked_now(tmp_path: Path) -> None:
    windows = [window(["a", "b"], time=[10, 20]), window(["c", "d", "e"], time=[10, 20, 30], is_positive=[1, 0, 1])]
    now, then, _ = read_probes(write_split(tmp_path, windows), count=2, k=5, exclude_history=True)
    times = [tf.train.Example.FromString(p.example).features.feature["time"].int64_list.value for p in (now, then)]
    assert [list(values) for values in times] == [[10], [10, 30]]
    assert then.forbidden == {"c", "e"}


def test_batches_are_of_about_one_size() -> None:
    probes = [Probe(b"", n, frozenset()) for n in range(17)]
    for most, sizes in ((17, [17]), (20, [17]), (4, [3, 3, 4, 3, 4])):
        parts = batches(probes, most)
        assert [len(part) for part in parts] == sizes
        assert [probe for part in parts for probe in part] == probes
