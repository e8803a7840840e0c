"""The demo plays on a stage of its own, whatever the shell is set up for."""

from pathlib import Path

import pytest

from stream_assoc.apps.demo.stage import APDB_FILE, SETTINGS_FILE, services
from stream_assoc.settings import Settings, load_settings


def test_variables_of_the_shell_are_for_another_deployment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.sqlite3"
    monkeypatch.setenv("STREAM_ASSOC_APDB__URL", f"sqlite:///{elsewhere}")
    monkeypatch.setenv("STREAM_ASSOC_KAFKA__INPUT_TOPIC", "production")
    with services(tmp_path) as settings:
        assert settings.kafka.input_topic == Settings().kafka.input_topic
        assert (tmp_path / APDB_FILE).is_file()
    assert not elsewhere.exists()
    monkeypatch.delenv("STREAM_ASSOC_APDB__URL")
    monkeypatch.delenv("STREAM_ASSOC_KAFKA__INPUT_TOPIC")
    assert load_settings(tmp_path / SETTINGS_FILE) == settings
