"""``replica check``, ``replica repair`` and ``replica release``: what is printed, and the exit codes."""

import json
from pathlib import Path

import pytest

from stream_assoc.pipeline.exceptions import ApdbError
from stream_assoc.settings import ConfigurationError
from stream_assoc.stores.apdb.sql.administration import SqlAdministration
from stream_assoc.testing.rows import BIG
from tests.apps.cli.invoking import Invoke
from tests.tools.replica.replicas import N, Pair, replicated_pair


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    made = replicated_pair(tmp_path)
    (tmp_path / "ppdb.yaml").write_text(f"implementation_type: sql\ndb_url: {made.ppdb_url}\n", encoding="utf-8")
    return made


def test_a_check_fails_until_the_repair(invoke: Invoke, pair: Pair) -> None:
    options = ("ppdb.yaml", "--set", f"apdb.url={pair.apdb_url}")
    assert invoke("replica", "check", *options).exit_code == 0
    pair.change("ppdb", 'UPDATE "DiaSource" SET "psfFlux" = 3 WHERE "diaSourceId" = ?', BIG)
    checked = invoke("replica", "check", *options)
    assert checked.exit_code == 1
    assert f"DiaSource: {N - 1} equal, 1 different (psfFlux 1; such as {BIG}), 0 missing" in checked.stdout
    assert "ids compared" in checked.stderr
    repaired = invoke("replica", "repair", *options)
    assert (repaired.exit_code, repaired.stdout) == (0, checked.stdout)
    found = json.loads(invoke("replica", "check", "--json", *options).stdout)
    assert (found["faults"], found["tables"]["DiaSource"]["equal"]) == (0, N)


def test_rows_that_only_the_ppdb_has_fail_a_repair(invoke: Invoke, pair: Pair) -> None:
    pair.change("apdb", 'DELETE FROM "DiaSource" WHERE "diaSourceId" = ?', BIG)
    repaired = invoke("replica", "repair", pair.ppdb_url, "--set", f"apdb.url={pair.apdb_url}")
    assert repaired.exit_code == 1
    assert f"1 in the PPDB only (such as {BIG})" in repaired.stdout


def test_what_is_not_there_is_told(invoke: Invoke, pair: Pair) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        invoke("replica", "check", "none.yaml", "--set", f"apdb.url={pair.apdb_url}")
    with pytest.raises(ApdbError):
        invoke("replica", "check", "ppdb.yaml", "--set", "apdb.url=sqlite:///none.db")


@pytest.mark.parametrize(
    ("held", "code", "told"),
    [((), 0, "no chunk is held\n"), ((600, 1200), 1, "held, because they are not over: 600, 1200; ")],
)
def test_what_is_held_is_told(
    invoke: Invoke, sqlite_apdb_url: str, monkeypatch: pytest.MonkeyPatch, held: tuple[int, ...], code: int, told: str
) -> None:
    if held:
        monkeypatch.setattr(SqlAdministration, "release_chunks", lambda _: held)
    released = invoke("replica", "release", "--set", f"apdb.url={sqlite_apdb_url}")
    assert (released.exit_code, released.stdout[: len(told)]) == (code, told)
