import json
from types import SimpleNamespace

from pipeline.messages import read_warnings


def test_a_component_warns_by_its_json_file(tmp_path):
    outputs = {"examples": [SimpleNamespace(uri=str(tmp_path))]}
    assert read_warnings("InteractionExampleGen", outputs) == []
    for report, warnings in (({}, []), ({"warnings": ["3 of 30 items"]}, ["3 of 30 items"])):
        (tmp_path / "ingest.json").write_text(json.dumps(report))
        assert read_warnings("InteractionExampleGen", outputs) == warnings
    assert read_warnings("InteractionExampleGen", {}) == []
    assert read_warnings("Transform", outputs) == []
