"""Every command explains itself, and every ending has its exit code."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Never

import pytest
from typer.main import get_command

from stream_assoc import __version__
from stream_assoc.apps.cli import main
from stream_assoc.exceptions import PoisonError, RetriableError
from stream_assoc.settings import ConfigurationError
from tests.apps.cli.invoking import Invoke


def commands(group: Any, *words: str) -> Iterator[list[str]]:
    """Yield the words of a group and of everything in it."""
    yield list(words)
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *words, name)


COMMANDS = list(commands(get_command(main.app)))


def test_there_are_commands() -> None:
    assert [] in COMMANDS
    assert ["dlq", "release"] in COMMANDS


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_every_command_is_plain(invoke: Invoke, command: list[str]) -> None:
    result = invoke(*command, "--help")
    assert result.exit_code == 0
    (usage,) = (line for line in result.stdout.splitlines() if "Usage:" in line)
    assert "{" not in usage
    options = [line for line in result.stdout.splitlines() if line.startswith("│ --")]
    assert not [line for line in options if re.search(r"<(bool|int|str|float|path|list|datetime)\b", line)]


def test_help_imports_no_heavy_library() -> None:
    heavy = "{'confluent_kafka', 'numba', 'numpy', 'pandas', 'psycopg', 'pyarrow', 'redis', 'scipy', 'sqlalchemy'}"
    script = f"import sys, stream_assoc.apps.cli.main; print(sorted(set(sys.modules) & {heavy}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    # The names of the bands come with the model's types, and those with numpy.
    assert loaded.strip() == "['numpy']"


def test_version(invoke: Invoke) -> None:
    assert invoke("--version").stdout.strip() == __version__


def test_mistyped_command_is_refused_with_the_nearest(invoke: Invoke) -> None:
    result = invoke("sreve")
    assert result.exit_code == 2
    assert "serve" in result.stderr


def ending(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error, *arguments):
    """Return the exit code and the error output of a run whose command raises ``error``."""

    def fail() -> Never:
        raise error

    monkeypatch.setattr(main, "app", fail)
    monkeypatch.setattr(sys, "argv", ["stream-assoc", *arguments])
    with pytest.raises(SystemExit) as caught:
        main.run()
    return caught.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigurationError("set it"), 2), (RetriableError("set it"), 1), (PoisonError("set it"), 1)],
)
def test_error_is_one_line_and_has_the_code_of_its_kind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error, code: int
) -> None:
    assert ending(monkeypatch, capsys, error) == (code, "set it\n")


def test_error_without_a_message_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(monkeypatch, capsys, RetriableError()) == (1, "RetriableError\n")


def test_debug_lets_the_traceback_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Never:
        raise ConfigurationError

    monkeypatch.setattr(main, "app", fail)
    monkeypatch.setattr(sys, "argv", ["stream-assoc", "--debug", "serve"])
    with pytest.raises(ConfigurationError):
        main.run()


def test_a_path_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run_program("schemas", "generate", str(tmp_path / "file" / "folder"))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"{tmp_path / 'file'}")
    assert "Traceback" in run_program("--debug", "schemas", "generate", str(tmp_path / "file" / "folder")).stderr


def test_interrupt_ends_with_130(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_) -> Never:
        raise KeyboardInterrupt

    monkeypatch.setattr("stream_assoc.apps.cli.setup.settings_of", interrupt)
    assert invoke("config", "show").exit_code == 130


def run_program(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-c", "from stream_assoc.apps.cli.main import run; run()", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", **variables},
    )


def test_wrong_configuration_ends_the_program_with_2_and_one_line() -> None:
    ended = run_program("config", "check", STREAM_ASSOC_REDIS__URLL="x")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "the environment: unknown setting STREAM_ASSOC_REDIS__URLL; did you mean STREAM_ASSOC_REDIS__URL?\n"
    )


def test_traceback_of_debug_tells_no_secret() -> None:
    ended = run_program("--debug", "config", "check", STREAM_ASSOC_APDB__URL="mysql://u:hunter2@h/d")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert "ConfigurationError: apdb.url" in ended.stderr
    assert "hunter2" not in ended.stderr
