import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.apps.cli.invoking import Invoke
from tests.topics import new_topic


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file of whoever runs the tests decides them."""
    for name in [name for name in os.environ if name.upper().startswith("STREAM_ASSOC_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def invoke() -> Invoke:
    """Run a command line in this process and return its result; its exceptions come through."""
    from stream_assoc.apps.cli.main import app

    def run(*arguments: object, **options: Any) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False, **options)

    return run


@pytest.fixture
def topic(kafka_bootstrap: str):
    """A topic of one partition that nothing else uses."""
    return new_topic(kafka_bootstrap)
