from pathlib import Path

import pytest

from config import ConfigError, load_config, paths
from pipeline.checks.configuration import checked_config
from pipeline.checks.personal import check_personal
from pipeline.cli import main
from serving.client.personal import KEY_VARIABLE
from tests.synthetic import write_config, write_tables


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("personal")
    write_tables(folder, users=20, items=20, events=200)
    return folder


def _config(folder, **personal):
    data = {table: {"personal": columns} for table, columns in personal.items()}
    return write_config(folder, data=data, positive="rating >= 4")


@pytest.mark.parametrize(
    ("personal", "location", "expected"),
    [
        ({"users": ["age"]}, ("data", "users", "personal", 0), "Received: 'age', the numeric feature (`features.user"),
        ({"interactions": ["rating"]}, ("data", "interactions", "personal", 0), "should be a column of user ids or"),
        ({"interactions": ["timestamp"]}, ("data", "interactions", "personal", 0), "the time (`data.interactions.time"),
        ({"items": ["item_id"]}, ("data", "items", "personal", 0), "the item id (`data.items.id`)"),
        ({"items": ["genres"]}, ("data", "items", "personal", 0), "the multi_valued feature"),
        ({"users": ["gendr"]}, ("data", "users", "personal", 0), "Did you mean `gender`? Received: 'gendr'"),
        ({"interactions": ["user_id"]}, ("data", "users", "personal"), "should name 'user_id' too, as the log's"),
        ({"users": ["user_id"]}, ("data", "interactions", "personal"), "should name 'user_id' too, as the users'"),
    ],
)
def test_columns_that_cannot_be_hashed_or_are_hashed_in_one_table_only(folder, personal, location, expected):
    (found,) = check_personal(load_config(_config(folder, **personal)))
    assert found[0] == location
    assert expected in found[1]


def test_a_missing_key_stops_before_any_work(folder, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    path = _config(folder, interactions=["user_id", "device"], users=["user_id", "gender"])
    with pytest.raises(ConfigError, match=f"`data.interactions.personal`: needs a key: .*{KEY_VARIABLE}"):
        checked_config(path)
    checked_config(path, with_data=False)  # `versions` and the like read no tables
    monkeypatch.setenv(KEY_VARIABLE, "sixteen characters")
    checked_config(path)


def test_a_folder_that_everybody_reads_is_a_warning_of_check(folder, monkeypatch, capsys):
    monkeypatch.setenv(KEY_VARIABLE, "sixteen characters")
    path = _config(folder, interactions=["device"])
    home = Path(paths.home(load_config(path)))
    assert main(["check", str(path)]) == 0
    assert "mode" not in capsys.readouterr().err
    for mode in (0o755, 0o750):
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(mode)
        assert main(["check", str(path)]) == 0
        assert (f"`chmod o= {home}`" in capsys.readouterr().err) == (mode == 0o755)
