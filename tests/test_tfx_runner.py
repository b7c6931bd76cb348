import subprocess
import sys
from pathlib import Path

from pipeline.cli import common

ROOT = Path(__file__).resolve().parents[1]

BLOCKED = """\
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
sys.argv = ["tfx-recommender", "--help"]
from tfx_runner import main
main()
"""


def run_without(*names: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED.format(names=set(names))]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_without_the_pipeline_s_packages_one_line_says_what_to_install():
    run = run_without("rich", "pydantic", "yaml", "tensorflow", "tfx")
    assert run.returncode == common.USAGE
    assert run.stderr.count("\n") == 1
    assert "pip install 'tfx-recommender[pipeline]'" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_missing_module_of_this_project_is_no_missing_package():
    run = run_without("transform", "config")
    assert run.returncode == 1
    assert "Traceback" in run.stderr
