"""``schemas generate``."""

from pathlib import Path

import pytest

from stream_assoc.apps.cli.app import CommandError
from tests.apps.cli.invoking import Invoke


def test_schemas_are_written_and_then_as_they_should_be(invoke: Invoke) -> None:
    written = invoke("schemas", "generate", "here").stdout.split()
    assert sorted(written) == sorted(str(file) for file in Path("here").iterdir())
    assert invoke("schemas", "generate", "here", "--check").exit_code == 0


def test_drift_is_told_and_nothing_written(invoke: Invoke) -> None:
    invoke("schemas", "generate", "here")
    Path("here/dia_object.avsc").write_text("{}", encoding="utf-8")
    with pytest.raises(CommandError, match=r"here/dia_object\.avsc: not as lsst-sdm-schemas has it"):
        invoke("schemas", "generate", "here", "--check")
    assert Path("here/dia_object.avsc").read_text(encoding="utf-8") == "{}"
