"""``apdb init`` and ``apdb check``."""

from pathlib import Path

import pytest

from stream_assoc.apdb.exceptions import ApdbError, ApdbSchemaError


def test_database_is_made_then_found_ready(invoke) -> None:
    made = invoke("apdb", "init", "--set", "apdb.url=sqlite:///night.db")
    assert made.exit_code == 0
    assert "sqlite:///night.db is ready: APDB schema " in made.stdout
    assert Path("night.db").exists()
    assert invoke("apdb", "check", "--set", "apdb.url=sqlite:///night.db").stdout == made.stdout


def test_database_that_is_no_apdb_is_told(invoke) -> None:
    Path("empty.db").touch()
    with pytest.raises(ApdbSchemaError, match="apdb init"):
        invoke("apdb", "check", "--set", "apdb.url=sqlite:///empty.db")


def test_missing_database_is_told(invoke) -> None:
    with pytest.raises(ApdbError):
        invoke("apdb", "check", "--set", "apdb.url=sqlite:///missing.db")
