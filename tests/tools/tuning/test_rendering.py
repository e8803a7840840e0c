"""The forms in which settings are written."""

import shlex

import pytest
import yaml
from typer.testing import CliRunner

from stream_assoc.tools.tuning.advice import SAFETY, advise
from stream_assoc.tools.tuning.machine import GIB, Build, Disk, Load, Machine
from stream_assoc.tools.tuning.rendering import Form, heading, render

MACHINE, LOAD, BUILD = Machine(8 * GIB, 2, Disk.HDD), Load(3), Build(17, has_lz4=True)
SETTINGS = advise(MACHINE, LOAD, BUILD)


def rendered(form: Form) -> str:
    return render(SETTINGS, form, heading(MACHINE, LOAD, BUILD))


def test_each_line_of_a_file_is_a_setting_or_a_comment() -> None:
    text = rendered(Form.CONF)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines == [f"{one.name} = '{one.value}'" for one in SETTINGS]
    assert text.endswith("\n")
    assert max(map(len, text.splitlines())) <= 110
    comments = " ".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("#"))
    assert all(one.why in comments for one in SETTINGS)


def test_each_line_of_the_statements_is_one_or_a_comment() -> None:
    lines = [line for line in rendered(Form.SQL).splitlines() if line and not line.startswith("--")]
    assert lines == [f"ALTER SYSTEM SET {one.name} = '{one.value}';" for one in SETTINGS]


def test_yaml_is_a_mapping_of_texts_without_what_operators_keep_to_themselves() -> None:
    read = yaml.safe_load(rendered(Form.YAML))
    assert read == {one.name: one.value for one in SETTINGS if one.group != SAFETY}
    assert {"fsync", "full_page_writes", "synchronous_commit"} & read.keys() == set()


def test_arguments_are_one_line() -> None:
    words = shlex.split(rendered(Form.ARGUMENTS))
    assert words[::2] == ["-c"] * len(SETTINGS)
    assert words[1::2] == [f"{one.name}={one.value}" for one in SETTINGS]


@pytest.mark.parametrize("form", Form)
def test_the_command_in_the_heading_prints_the_same(form: Form) -> None:
    from stream_assoc.apps.cli.main import app

    _, line = heading(MACHINE, LOAD, BUILD)
    called = [*shlex.split(line)[1:], "--form", form.value]
    printed = CliRunner().invoke(app, called, catch_exceptions=False)
    assert printed.exit_code == 0
    assert printed.stdout == rendered(form)
