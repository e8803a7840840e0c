"""One colour means one thing, in the report and on the dashboard, in light and in dark."""

import re
from importlib.resources import files

from stream_assoc.tools.report.theme import PICTURE_COLOURS, VARIABLES

SHARED = ("associated", "new", "solar", "marginal", "dropped", "u", "g", "r", "i", "z", "y")


def colours(package: str, file: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables of a style sheet that are colours: for light backgrounds, and for dark ones."""
    text = files(package).joinpath(file).read_text(encoding="utf-8")
    first, second, *_ = re.split(r"\* \{ box-sizing|(?=:root\[data-theme)|(?=@media \(prefers-color-scheme)", text)
    light, dark = (dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", part)) for part in (first, second))
    return light, dark


REPORT = colours("stream_assoc.tools.report", "style.css")
DASHBOARD = colours("stream_assoc.apps.web", "static/style.css")


def test_report_and_dashboard_have_the_same_colours_for_the_same_things() -> None:
    for report, dashboard in zip(REPORT, DASHBOARD, strict=True):
        assert {name: report[name] for name in SHARED} == {name: dashboard[name] for name in SHARED}


def test_no_two_things_have_one_colour() -> None:
    for theme in (*REPORT, *DASHBOARD):
        meant = [
            value for name, value in theme.items() if name in SHARED or re.fullmatch(r"t\d|measured|second", name)
        ]
        assert len(meant) == len(set(meant)) >= len(SHARED)


def test_every_name_of_a_figure_is_in_the_style_sheet() -> None:
    for theme in REPORT:
        assert {name.removeprefix("--") for name in VARIABLES.values()} <= set(theme)
    assert set(PICTURE_COLOURS) <= set(VARIABLES)
