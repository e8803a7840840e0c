"""What watches a daemon: the files of docker/, and the programs of Prometheus that read them."""

import functools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.parts import MONITORING

REPOSITORY = Path(__file__).parents[2]
DOCKER = REPOSITORY / "docker"
RULES = DOCKER / "prometheus" / "rules.yml"
RULES_TEST = DOCKER / "prometheus" / "tests" / "rules_test.yml"
DASHBOARD = DOCKER / "grafana" / "dashboards" / "stream-assoc.json"

PLACEHOLDERS = {"$__rate_interval": "1m", '"$instance"': '".*"'}
"""What Grafana puts into an expression before it asks Prometheus."""


class Expression(NamedTuple):
    """PromQL, and where it stands."""

    place: str
    text: str


def program(name: str) -> str:
    """Return the path of a program of Prometheus, or skip the test."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(MONITORING.reason)
    return path


@functools.cache
def rules() -> tuple[dict[str, object], ...]:
    return tuple(rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"])


def rule_expressions() -> list[Expression]:
    return [Expression(str(rule.get("alert", rule.get("record"))), str(rule["expr"])) for rule in rules()]


def panel_expressions() -> Iterator[Expression]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            text = target["expr"]
            for placeholder, value in PLACEHOLDERS.items():
                text = text.replace(placeholder, value)
            yield Expression(f"{panel['title']}: {target['legendFormat']}", text)


def metric_names(expression: str) -> set[str]:
    """Return the names of metrics that an expression asks for."""
    without_labels = re.sub(r"\{[^}]*\}|\bby \([^)]*\)|\bon \([^)]*\)", "", expression)
    names = set(re.findall(r"\b(?:stream_assoc|process|prometheus)[\w:]*|\bup\b", without_labels))
    return {name for name in names if ":" not in name}


def exposed_names(exposition: str) -> set[str]:
    """Return the names of the series of an exposition."""
    return {match.group(1) for match in re.finditer(r"^([a-zA-Z_:][\w:]*)[{ ]", exposition, re.MULTILINE)}
