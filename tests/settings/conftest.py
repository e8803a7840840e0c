import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file of whoever runs the tests decides them."""
    for name in [name for name in os.environ if name.upper().startswith("STREAM_ASSOC_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
