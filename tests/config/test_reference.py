from pathlib import Path

from config.reference import reference, sections
from config.schema import Config

_COMMAND = "run `python -m config.reference > docs/reference/configuration.md`"


def test_the_page_in_docs_is_current() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "reference" / "configuration.md"
    assert page.read_text(encoding="utf-8") == reference(), _COMMAND


def test_every_key_says_what_it_is() -> None:
    names = {section.__name__ for section in sections(Config)}
    assert {"Config", "InteractionTable", "Numeric", "RegressionTask", "HistoryConfig", "Gate"} <= names
    assert "| `max_bad_share` | float | `0.05` | The share of rows with a missing key" in reference()
