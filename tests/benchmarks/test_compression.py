import pytest

from benchmarks import compression
from benchmarks.quality.studies import Study


@pytest.mark.parametrize("variant", compression.VARIANTS)
def test_every_variant_is_a_configuration(variant, tmp_path):
    changes = dict(compression.VARIANTS[variant])
    if "training.distillation" in changes:
        changes["training.distillation"] = {**changes["training.distillation"], "teacher": str(tmp_path)}
    study = Study("", "examples/movielens-100k.yaml", (), {variant: changes})
    assert study.configuration(variant, seed=1)


def test_sizes_count_every_file(tmp_path):
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"ab")
    (tmp_path / "variables" / "data").write_bytes(bytes(10_000))
    size, gzipped = compression.sizes(tmp_path)
    assert size == 10_002
    assert gzipped < 200


def test_a_row_holds_sizes_latency_and_metrics(capsys):
    from rich.console import Console

    found = {"small": compression.Compressed("", 2_500_000, 1_250_000, {"ndcg@10": 0.12345}, 3.14159)}
    Console(width=120).print(compression.table(("ndcg@10",), found))
    assert capsys.readouterr().out.splitlines()[-1].split() == ["small", "2.50", "1.25", "3.14", "0.1235"]
