"""What the pages say of the code is what the code says of itself."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from documentation import cli, metrics
from documentation.diagrams import diagrams
from documentation.pages import PAGES, drifted
from documentation.schemas import type_name
from tests.documentation.console import REPOSITORY

LOGS = REPOSITORY / "docs" / "reference" / "logs.md"
LEVELS = {"debug", "info", "warning", "error", "exception"}

COMMANDS = list(cli.commands())


def name_of(command):
    return " ".join(command[0]) or "stream-assoc"


def test_generated_pages_have_not_drifted() -> None:
    assert drifted(REPOSITORY) == []


def test_drift_is_told(tmp_path: Path) -> None:
    for name, page in PAGES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(page())
    changed = tmp_path / "docs/reference/metrics.md"
    changed.write_text(changed.read_text() + "x")
    assert drifted(tmp_path) == ["docs/reference/metrics.md"]


@pytest.mark.parametrize("command", COMMANDS, ids=name_of)
def test_every_command_and_every_option_is_explained(command) -> None:
    names, found = command
    help_text = inspect.cleandoc(found.help or "")
    assert help_text.split("\n\n")[0].rstrip().endswith("."), "a first sentence"
    for parameter in found.params:
        assert parameter.help, f"{names}: {parameter.name} has no help"
        assert parameter.help[0].isupper()


def has_examples(command) -> bool:
    """Tell whether this is the program itself or a command of it, no group."""
    names, found = command
    return not names or not hasattr(found, "commands")


@pytest.mark.parametrize("command", list(filter(has_examples, COMMANDS)), ids=name_of)
def test_every_command_has_examples_and_exit_codes(command) -> None:
    names, found = command
    _, *examples, codes = found.epilog.split("\n\n")
    called = " ".join(["stream-assoc", *names])
    assert examples
    assert all(called in example for example in examples)
    assert codes.startswith("Exit code: 0")


def logged() -> set[tuple[str, str]]:
    """Return event and level of each line that the daemon may log, both where one of two events is chosen."""
    found: set[tuple[str, str]] = set()
    for file in (REPOSITORY / "stream_assoc").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[event]) if (
                    level in LEVELS
                ):
                    chosen = [event.body, event.orelse] if isinstance(event, ast.IfExp) else [event]
                    found |= {
                        (one.value, level)
                        for one in chosen
                        if isinstance(one, ast.Constant) and isinstance(one.value, str)
                    }
    return found


def test_every_line_that_is_logged_is_on_its_page() -> None:
    rows = set(re.findall(r"^\| `([^`]+)` \| (\w+) \|", LOGS.read_text(), re.MULTILINE))
    assert rows == logged()


def test_every_field_of_the_line_of_a_batch_is_on_the_page() -> None:
    (row,) = (line for line in LOGS.read_text().splitlines() if line.startswith("| `processed`"))
    source = (REPOSITORY / "stream_assoc" / "service" / "daemon" / "handler.py").read_text()
    fields = re.findall(r"^\s{20}(\w+)=", source[source.index('"processed",') :], re.MULTILINE)
    assert {"visit", "stages"} <= set(fields)
    assert [field for field in fields if f"`{field}`" not in row] == []


def test_every_instrument_says_what_it_is() -> None:
    found = list(metrics.instruments())
    assert len(found) >= 25
    assert all(text.endswith(".") for *_, text in found)


@pytest.mark.parametrize(
    ("avro", "words"),
    [
        ("long", "long"),
        (["null", "float"], "float, or null"),
        ({"type": "array", "items": {"type": "record", "name": "Vertex", "fields": []}}, "array of Vertex"),
        ({"type": "map", "values": "double"}, "map of double"),
        ({"type": "long", "logicalType": "timestamp-millis"}, "long"),
        ("org.lsst.Vertex", "Vertex"),
    ],
)
def test_types_in_words(avro, words: str) -> None:
    assert type_name(avro, []) == words


def test_every_diagram_has_its_picture_and_every_picture_a_diagram() -> None:
    pictures = {f"diagrams/{file.name}" for file in (REPOSITORY / "docs" / "figures" / "diagrams").iterdir()}
    assert pictures == diagrams(REPOSITORY / "docs").keys()
