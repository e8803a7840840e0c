"""The tutorial, typed from top to bottom."""

import sys
from pathlib import Path

import pytest

from tests.documentation.console import python_blocks
from tests.documentation.session import typed

pytestmark = [pytest.mark.integration, pytest.mark.long]


def test_the_tutorial(tmp_path: Path) -> None:
    with typed("docs/tutorial.md", tmp_path, {}, {}) as session:
        (script,) = python_blocks("docs/tutorial.md")
        session.run([sys.executable, "-c", script])
    lines = session.output.splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("DIAObject "))
    light_curve = lines[first + 1 :]
    assert len(light_curve) >= 12
    assert all(line.endswith("*") for line in light_curve)
