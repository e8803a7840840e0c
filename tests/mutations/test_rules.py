"""Every rule of the protocol on Cassandra is left out by a mutation and shown by a test, or the page says why not."""

import ast
import re
from pathlib import Path
from typing import Final

from tests.mutations.rules import MUTATIONS

PAGE: Final = (Path(__file__).parents[2] / "docs/cassandra-protocol.md").read_text()
SHOWN_BY_A_TEST: Final = "a test fails without each"


def section(begin: str, end: str) -> str:
    return PAGE.partition(f"\n{begin}\n")[2].partition(f"\n{end}\n")[0]


def stated() -> dict[str, str]:
    """Return what the page says of each rule, as it is built."""
    rows = re.findall(
        r"^\| (`[A-Z].*) \| (.*) \|$", section("## What is built", "## Reading without a session"), re.M
    )
    return {rule: state for rules, state in rows for rule in re.findall(r"`(\w+)`", rules)}


def marked() -> set[str]:
    """Return the rules that tests are marked with."""
    files = Path(__file__).parents[1].rglob("test_*.py")
    calls = (node for file in files for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
    marks = [call for call in calls if ast.unparse(call.func) == "pytest.mark.rules"]
    return {ast.literal_eval(argument) for mark in marks for argument in mark.args}


def test_the_page_says_of_every_rule_how_it_is_built() -> None:
    rules = re.findall(r"^\| `(\w+)`: ", section("## Rules", "## What is built"), re.M)
    assert len(rules) > 60
    assert set(rules) == set(stated())


def test_every_rule_that_is_built_has_a_mutation_and_no_other() -> None:
    assert {rule for rule, state in stated().items() if SHOWN_BY_A_TEST in state} == set(MUTATIONS)


def test_every_mutation_is_made_in_some_test() -> None:
    assert marked() == set(MUTATIONS)
