from pathlib import Path

from pipeline.cli.main import COMMANDS
from pipeline.cli.reference import reference

_COMMAND = "run `python -m pipeline.cli.reference > docs/reference/command-line.md`"


def test_the_page_in_docs_is_current() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "reference" / "command-line.md"
    assert page.read_text(encoding="utf-8") == reference(), _COMMAND


def test_every_command_and_its_arguments_are_listed() -> None:
    page = reference()
    assert all(f"\n## {name}\n" in page for name in COMMANDS)
    assert "| `--user USER` | required | the user's id, as the tables have it |" in page
    assert "| `--max_rows MAX_ROWS` | `512` | of a call |" in page
