"""Every command on a page is one that exists, with options that exist."""

import re
import subprocess

import pytest
import typer
import typer.main
import yaml

from stream_assoc.apps.cli.main import app
from stream_assoc.settings.fields import environment_name, fields
from tests.documentation.console import NEEDS_A_MACHINE, REPOSITORY, Command, commands, pages, program_of

COMMANDS = [command for page in pages() for command in commands(page)]

CHECKED_HERE = {"stream-assoc", "make", "docker", "export", "install", "promtool"}


def a_test_for(*programs: str) -> pytest.MarkDecorator:
    chosen = [command for command in COMMANDS if program_of(command) in programs]
    return pytest.mark.parametrize("command", chosen, ids=lambda command: f"{command.page}: {command.text[:60]}")


def test_there_are_commands() -> None:
    assert {"README.md", "docs/tutorial.md", "docs/how-to/deploy-systemd.md"} <= {one.page for one in COMMANDS}


def test_every_program_is_checked_or_it_is_known_why_not() -> None:
    programs = {program_of(command) for command in COMMANDS}
    assert programs - CHECKED_HERE - NEEDS_A_MACHINE.keys() == set()


def test_every_line_is_one_that_a_shell_reads() -> None:
    script = "\n".join(command.text for command in COMMANDS)
    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@a_test_for("stream-assoc")
def test_stream_assoc_takes_these_options(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    words = command.words
    arguments = words[words.index("stream-assoc") + 1 :]
    found = typer.main.get_command(app)
    while arguments and arguments[0] in (commands := getattr(found, "commands", {})):
        found = commands[arguments.pop(0)]
    try:
        context = found.make_context("stream-assoc", arguments)
    except typer.Exit:
        # --version and --help are done when they are read.
        return
    assignments = context.params.get("set_") or ()
    assert [one for one in assignments if one.partition("=")[0] not in fields()] == []


@a_test_for("export")
def test_variables_are_settings(command: Command) -> None:
    name = command.words[1].partition("=")[0]
    assert name == "PATH" or name.removesuffix("_FILE") in {environment_name(one) for one in fields()}


@a_test_for("make")
def test_make_has_this_target(command: Command) -> None:
    (target,) = [word for word in command.words[1:] if "=" not in word]
    assert re.search(rf"^{target}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)


@a_test_for("docker")
def test_docker_finds_what_is_named(command: Command) -> None:
    words = command.words
    if words[1] == "build":
        assert (REPOSITORY / words[-1] / "Dockerfile").is_file()
        return
    assert words[1] == "compose"
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    profiles = {profile for service in services.values() for profile in service.get("profiles", [])}
    named = [words[index + 1] for index, word in enumerate(words) if word == "--profile"]
    assert set(named) <= profiles
    if {"run", "exec", "logs"} & set(words):
        verb = next(index for index, word in enumerate(words) if word in {"run", "exec", "logs"})
        service = next(word for word in words[verb + 1 :] if not word.startswith("-"))
        assert service in services


@a_test_for("install")
def test_what_is_installed_exists(command: Command) -> None:
    source = command.words[-2]
    assert (REPOSITORY / source).is_file()


@a_test_for("promtool")
def test_what_promtool_reads_exists(command: Command) -> None:
    assert (REPOSITORY / command.words[-1]).is_file(), "tests/monitoring runs it"
