import json

import pytest

from benchmarks.peers.__main__ import main
from tests.benchmarks.peers.toy import example, target, window, write_split


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Two users with the histories a b and b a; c is popular by a third; the test items are c and d."""
    folder = tmp_path_factory.mktemp("examples")
    histories = {"ann": ["a", "b"], "bob": ["b", "a"], "eve": ["c", "a", "b"]}
    windows = [
        window(user, items, [1, 2, 3][: len(items)], [1] * len(items), rating=[3] * len(items))
        for user, items in histories.items()
    ]
    write_split(folder, "train", windows)
    write_split(folder, "eval", [target("ann", ["d"], [4], ["a", "b"], rating=[5])])
    write_split(
        folder,
        "test",
        [target("ann", ["c"], [5], ["a", "b", "d"], rating=[3]), target("bob", ["d"], [5], ["a", "b"], rating=[5])],
    )
    write_split(folder, "items", [example(catalogue_id=[item]) for item in "abcd"])
    return folder


def test_the_command_prints_tables_and_writes_the_metrics(examples, tmp_path, capsys):
    output = tmp_path / "results" / "peers.json"
    arguments = ["--examples", str(examples), "--state", "train", "papers", "refit", "--output", str(output)]
    assert main([*arguments, "--only", "popularity", "bias"]) == 0
    printed = capsys.readouterr().out
    assert "warm users: 2" in printed
    assert "ratings: 2" in printed
    results = {(row["peer"], row["state"]): row["metrics"] for row in json.loads(output.read_text())["results"]}
    # `papers` is `train` for ratings.
    assert list(results) == [
        ("popularity", "train"),
        ("popularity", "papers"),
        ("popularity", "refit"),
        ("bias", "train"),
        ("bias", "refit"),
    ]
    # Of what ann has not seen only c is known to train: rank 1. bob's d is known after eval alone.
    train, refit = results["popularity", "train"]["warm"], results["popularity", "refit"]["warm"]
    assert (train["hr@10"]["mean"], refit["hr@10"]["mean"]) == (0.5, 1.0)
    assert results["bias", "train"]["all"]["rmse"]["mean"] == pytest.approx(2**0.5)


def test_an_unknown_peer_is_named_with_what_there_is(examples, capsys):
    with pytest.raises(SystemExit):
        main(["--examples", str(examples), "--only", "oracle"])
    assert "'popularity'" in capsys.readouterr().err
