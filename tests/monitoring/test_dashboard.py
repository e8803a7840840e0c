"""The dashboard is the one its source makes, and asks only for what exists."""

import json
import subprocess
import sys

from tests.monitoring.monitored import DASHBOARD, DOCKER, panel_expressions


def test_it_has_not_drifted() -> None:
    subprocess.run([sys.executable, DOCKER / "grafana" / "dashboard.py", "--check"], check=True)


def test_panels_have_places_of_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        squares = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
        assert not squares & taken, panel["title"]
        taken |= squares


def test_every_panel_says_what_it_shows() -> None:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        assert panel["type"] == "row" or (panel["description"].endswith(".") or ":" in panel["description"])


def test_every_query_is_for_the_chosen_daemons() -> None:
    for place, text in panel_expressions():
        assert 'instance=~".*"' in text, place
        assert "$" not in text, place
