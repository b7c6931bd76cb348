"""Tables on S3: moto's server stands in for it, over loopback."""

import shutil

import boto3
import pytest
from moto.server import ThreadedMotoServer

from config import load_config
from pipeline.checks.configuration import checked_config
from pipeline.ingest import dividing, object_store
from pipeline.ingest.tables import TableError, table_files
from tests.pipeline.ingest.conftest import resolve, run_ingest
from tests.synthetic import write_config


@pytest.fixture
def bucket(monkeypatch):
    """An empty bucket `shop`, which the clients find."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**keys, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
        monkeypatch.setenv(name, value)
    object_store._s3.cache_clear()
    client = boto3.client("s3")
    client.create_bucket(Bucket="shop")
    yield client
    server.stop()
    object_store._s3.cache_clear()


def test_tables_on_s3_give_the_examples_of_local_ones(tables, ingested, bucket, tmp_path, monkeypatch):
    """Through `check`, the driver's spans and fingerprint, and bundles of one object."""
    for name in ("interactions", "items", "users"):
        span = "-7" if name == "interactions" else ""
        bucket.upload_file(str(tables / f"{name}.csv"), "shop", f"tables/{name}{span}.csv")
    shutil.copytree(tables, tmp_path / "local")
    data = {"folder": "s3://shop/tables", "interactions": {"path": "interactions-{SPAN}.csv"}}
    path = write_config(tmp_path / "local", data=data)
    config = checked_config(path)
    monkeypatch.setattr(dividing, "BUNDLE_BYTES", 16_000)
    run = run_ingest(config, tmp_path / "out")
    assert run.properties["span"] == 7
    for split in ("train", "eval", "test", "items"):
        assert sorted(map(str, run.examples(split))) == sorted(map(str, ingested.examples(split))), split
    before = run.properties["input_fingerprint"]
    bucket.put_object(Bucket="shop", Key="tables/users.csv", Body=b"user_id,age,gender\nu1,20,F\n")
    assert resolve(config)["input_fingerprint"] != before


def test_a_folder_of_parts_is_found_and_what_is_missing_is_named(tables, bucket):
    for key in ("log/part-1.csv", "log/part-0.csv", "log/_SUCCESS"):
        bucket.put_object(Bucket="shop", Key=key, Body=b"user_id,item_id\nu,i\n")
    table = load_config(write_config(tables)).data.interactions.model_copy(update={"path": "log"})
    assert table_files("s3://shop", table) == ["s3://shop/log/part-0.csv", "s3://shop/log/part-1.csv"]
    with pytest.raises(TableError, match=r"s3://shop/other/log: no such file"):
        table_files("s3://shop/other", table)
