"""The templates of HTML pages: they escape text from data, and share one style."""

from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from pipeline.messages import visible


def template(package: str) -> Template:
    """Returns the template `page.html` of a package; it includes `style.css` of this one."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("pipeline.report", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_seen,
    )
    return environment.get_template("page.html")


def _seen(value: Any) -> Any:
    """Escapes the control characters of text from data, and returns plots as they are."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
