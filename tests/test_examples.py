import ast
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config import parse_config
from pipeline.cli.main import COMMANDS, make_parser

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOK = EXAMPLES / "from_csv_to_recommendations.ipynb"


@pytest.fixture(scope="module")
def cells() -> list[str]:
    """The notebook's code cells, which have to be Python."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def calls_of_main(source: str) -> Iterator[Any]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "main":
            yield ast.literal_eval(node.args[0])


def test_the_notebook_s_cells_name_existing_commands(cells):
    commands = [arguments for source in cells for arguments in calls_of_main(source)]
    assert [arguments[0] for arguments in commands] == ["check", "run", "recommend"]
    for arguments in commands:
        assert make_parser().parse_args(arguments).command in COMMANDS


def test_the_notebook_s_imports_exist(cells):
    imports = [node for source in cells for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        module = importlib.import_module(node.module)
        assert all(hasattr(module, alias.name) for alias in node.names), node.module


def test_the_commands_in_the_documentation_are_modules():
    pages = [EXAMPLES.parent / "README.md", *(EXAMPLES.parent / "docs").rglob("*.md")]
    named = {
        name
        for page in pages
        for name in re.findall(r"python -m ((?:benchmarks|config|pipeline|serving)[\w.]*)", page.read_text())
    }
    assert named
    assert [name for name in named if importlib.util.find_spec(name.rstrip(".")) is None] == []


def test_the_notebook_s_configuration_is_valid(cells):
    source = next(source for source in cells if source.startswith("CONFIG = "))
    text = ast.literal_eval(ast.parse(source).body[0].value)
    assert parse_config(text, NOTEBOOK.name).name == "shop"


@pytest.mark.parametrize("page", ["README.md", "docs/tutorials/your-own-tables.md"])
def test_the_configurations_in_the_documentation_are_valid(page):
    text = (EXAMPLES.parent / page).read_text(encoding="utf-8")
    block = text.split("```yaml\n")[1].split("```")[0]
    assert parse_config(block, page).name == "shop"
