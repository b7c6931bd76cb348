import tensorflow as tf

from transform.executor import spread

GZIP = tf.io.TFRecordOptions(compression_type="GZIP")


def write(path, records):
    with tf.io.TFRecordWriter(str(path), GZIP) as writer:
        for record in records:
            writer.write(record)


def read(folder):
    return {
        file.name: list(tf.data.TFRecordDataset(str(file), "GZIP").as_numpy_iterator())
        for file in sorted(folder.iterdir())
    }


def test_few_files_become_many_of_like_size(tmp_path):
    write(tmp_path / "transformed_examples-00000-of-00002.gz", [b"a", b"b", b"c"])
    write(tmp_path / "transformed_examples-00001-of-00002.gz", [b"d"])
    spread(str(tmp_path), 3)
    assert read(tmp_path) == {
        "transformed_examples-00000-of-00003.gz": [b"a", b"d"],
        "transformed_examples-00001-of-00003.gz": [b"b"],
        "transformed_examples-00002-of-00003.gz": [b"c"],
    }


def test_many_files_stay(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.gz", [b"a"])
    before = read(tmp_path)
    spread(str(tmp_path), 3)
    assert read(tmp_path) == before
