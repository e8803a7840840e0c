"""Alert rules, by promtool's own tests, and that each of them is tested and explained."""

import re
import subprocess

import pytest
import yaml

from tests.monitoring.monitored import DOCKER, REPOSITORY, RULES, RULES_TEST, program, rules

ALERTS = [rule for rule in rules() if "alert" in rule]


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", RULES),
        ("check", "config", DOCKER / "prometheus" / "prometheus.yml"),
        ("test", "rules", RULES_TEST),
    ],
    ids=lambda arguments: " ".join(map(str, arguments[:2])),
)
def test_promtool_is_content(arguments) -> None:
    ended = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_alertmanager_knows_every_alert_it_is_told_of() -> None:
    config = yaml.safe_load((DOCKER / "alertmanager" / "alertmanager.yml").read_text())
    names = {str(rule["alert"]) for rule in ALERTS}
    matchers = [
        matcher
        for rule in config["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
    ] + [matcher for route in config["route"]["routes"] for matcher in route["matchers"]]
    for matcher in matchers:
        _, operator, pattern = matcher.split(maxsplit=2)
        if operator == "=":
            assert pattern in names
            continue
        found = re.fullmatch(r'"(\w+)\((.*)\)"', pattern)
        assert found is not None, pattern
        prefix, alternatives = found.groups()
        assert {prefix + name for name in alternatives.split("|")} <= names


def test_every_alert_is_seen_firing() -> None:
    tested = RULES_TEST.read_text()
    assert [name for rule in ALERTS if (name := str(rule["alert"])) not in tested] == []


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_to_do(rule) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info", "none"}
    page, anchor = rule["annotations"]["runbook"].split("#")
    headings = re.findall(r"^##+ (.+)$", (REPOSITORY / page).read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"): heading for heading in headings}
    assert anchor in anchors
    section = (REPOSITORY / page).read_text().split(f"# {anchors[anchor]}\n")[1].split("\n## ")[0]
    assert rule["alert"] in section, "its runbook names the alert"
