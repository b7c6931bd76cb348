import pytest

from config import parse_config
from pipeline.checks.object_stores import check_object_stores


def _problems(folder="data", **sections):
    text = f"{{name: shop, data: {{folder: '{folder}', interactions: {{path: log.csv}}}}"
    return list(check_object_stores(parse_config(", ".join([text, *(f"{k}: {v}" for k, v in sections.items())]) + "}")))


def test_tables_may_be_on_s3_and_models_on_google_cloud_storage():
    google = {
        "pipeline": "{root: 'gs://b/runs', schema_file: 'gs://b/schema.pbtxt'}",
        "serving": "{folder: 'gs://b/models'}",
        "training": "{distillation: {teacher: 'gs://b/teacher'}}",
    }
    for folder in ("data", "/data", "gs://b/data", "s3://b/data"):
        assert _problems(folder, **google) == []


@pytest.mark.parametrize(
    ("section", "value", "location"),
    [
        ("pipeline", "{root: 's3://b/runs'}", ("pipeline", "root")),
        ("pipeline", "{schema_file: 's3://b/schema.pbtxt'}", ("pipeline", "schema_file")),
        ("serving", "{folder: 's3://b/models'}", ("serving", "folder")),
        ("training", "{distillation: {teacher: 's3://b/t'}}", ("training", "distillation", "teacher")),
        ("training", "{warm_start: {model: 's3://b/m'}}", ("training", "warm_start", "model")),
    ],
)
def test_what_tensorflow_opens_is_refused_on_s3(section, value, location):
    ((found, message),) = _problems(**{section: value})
    assert found == location
    assert "should be a local path or a gs:// URI: TensorFlow does not open s3://. Only tables are" in message


def test_tables_on_other_stores_are_refused():
    ((location, message),) = _problems("abfs://c/data")
    assert location == ("data", "folder")
    assert message == "should be a local folder, or a URI with gs:// or s3://. Received: 'abfs://c/data'"
