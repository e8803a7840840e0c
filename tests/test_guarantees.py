"""Every row of docs/guarantees.md names tests that exist."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "guarantees.md"


def test_every_proof_is_a_test() -> None:
    page = PAGE.read_text()
    proofs = re.findall(r'^\[(\w+)\]: (\S+) "(\w+)"$', page, re.MULTILINE)
    assert {label for label, _, _ in proofs} == set(re.findall(r"\]\[(\w+)\]", page))
    for _, path, test in proofs:
        assert re.search(rf"^ *def {test}\(", (PAGE.parent / path).read_text(), re.MULTILINE), test


def test_every_row_has_a_proof() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert all(re.search(r"\]\[\w+\] \|$", row) for row in rows if not row.endswith("| test |"))
