"""What is generated from the settings is what is checked in."""

import tomllib
from pathlib import Path

from stream_assoc.settings import Settings, load_settings
from stream_assoc.settings.fields import fields, form_of
from stream_assoc.settings.reference import EXAMPLE_FILE, drifted, example, reference

REPOSITORY = Path(__file__).parents[2]


def test_generated_files_have_not_drifted() -> None:
    assert drifted(REPOSITORY) == []


def test_drift_is_told(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / EXAMPLE_FILE).write_text(example(), encoding="utf-8")
    (tmp_path / "docs/configuration.md").write_text(reference() + "x", encoding="utf-8")
    assert [str(path) for path in drifted(tmp_path)] == ["docs/configuration.md"]


def test_example_is_a_valid_file_of_defaults() -> None:
    assert load_settings(REPOSITORY / EXAMPLE_FILE) == Settings()


def test_example_is_still_one_with_every_default_written_out(tmp_path: Path) -> None:
    lines = [line.removeprefix("# ") for line in example().splitlines() if not line.startswith("##")]
    assignments = [line for line in lines if line.startswith("[") or (" = " in line)]
    file = tmp_path / "all.toml"
    file.write_text("\n".join(assignments), encoding="utf-8")
    assert set(tomllib.loads(file.read_text(encoding="utf-8"))) == set(Settings.model_fields)
    assert load_settings(file) == Settings()


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in fields().items() if not field.description] == []


def test_every_setting_is_in_the_reference() -> None:
    text = reference()
    assert [name for name in fields() if f"| `{name.partition('.')[2]}` |" not in text] == []


def test_form_tells_bounds() -> None:
    assert form_of(fields()["sky.tile_level"]) == "whole number, ≥ 2, ≤ 20"
    assert form_of(fields()["logging.format"]) == "`json` or `console`"
