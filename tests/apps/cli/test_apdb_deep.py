"""``apdb check --deep``."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import Result

from stream_assoc.pipeline.exceptions import ApdbError
from tests.pipeline.skies import night, pinned_services, process_from

Check = Callable[..., Result]
DATABASE = "sqlite:///apdb.sqlite3"


@pytest.fixture
def check(invoke: Check, tmp_path: Path) -> Check:
    """Run the command on an APDB after a few visits."""
    services = pinned_services(tmp_path)
    for turn, batch in enumerate(night()[:6]):
        process_from(services, turn, batch)
    services.apdb.close()

    def run(*options: object) -> Result:
        return invoke("apdb", "check", "--deep", "--set", f"apdb.url={DATABASE}", *options)

    return run


def change(statement: str) -> None:
    with closing(sqlite3.connect("apdb.sqlite3")) as file, file:
        file.execute(statement)


def test_nothing_is_wrong(check: Check) -> None:
    before = Path("apdb.sqlite3").read_bytes()
    for options in ([], ["--all"], ["--sample", 3, "--seed", 5]):
        result = check(*options)
        assert result.exit_code == 0
        assert result.stdout == "Nothing is wrong: 22 kinds of faults were looked for.\n"
        assert "DiaObject by diaObjectId\n" in result.stderr
    assert check("--json").stdout == ""
    assert Path("apdb.sqlite3").read_bytes() == before


def test_faults_are_listed_by_id_and_then_each_kind_with_its_remedy(check: Check) -> None:
    change('UPDATE "DiaObjectLast" SET "nDiaSources" = "nDiaSources" + 1')
    change('UPDATE "StreamAssocCounter" SET n_single_source = n_single_source + 1 WHERE shard IN '
           '(SELECT min(shard) FROM "StreamAssocCounter")')  # fmt: skip
    with closing(sqlite3.connect("apdb.sqlite3")) as file:
        ids = [identifier for (identifier,) in file.execute('SELECT "diaObjectId" FROM "DiaObjectLast"')]
    result = check()
    assert result.exit_code == 3
    lines = result.stdout.splitlines()
    expected = {f"last_differs_from_version: diaObjectId {one} (columns nDiaSources)" for one in ids}
    assert set(lines[: len(ids)]) == expected
    assert lines[len(ids)].startswith("wrong_single_source_count: (counter ")
    assert lines[len(ids) + 1] == f"{len(ids) + 1} faults of 2 kinds; 22 kinds were looked for:"
    assert lines[len(ids) + 2].startswith(f"  last_differs_from_version: {len(ids)}. A row of DiaObjectLast equals ")
    assert lines[len(ids) + 3].startswith("    To do: write the row of DiaObjectLast anew")


def test_json_is_a_line_a_fault(check: Check) -> None:
    for table in ("DiaObject", "DiaObjectLast"):
        change(f'UPDATE "{table}" SET "firstDiaSourceMjdTai" = NULL')
    result = check("--json", "--sample", 4)
    assert result.exit_code == 3
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["fault"] for one in found] == ["wrong_statistics"] * 4
    assert all(isinstance(one["diaObjectId"], int) for one in found)
    assert all(list(one["found"]) == ["firstDiaSourceMjdTai", "firstDiaSourceMjdTai folded"] for one in found)
    stored, folded = found[0]["found"].values()
    assert stored is None
    assert folded > 60_000.0


def test_what_awaits_its_next_batch_is_a_note(check: Check) -> None:
    change('UPDATE "DiaSource" SET "psfFlux" = "psfFlux" + 1 WHERE "diaObjectId" = '
           '(SELECT min("diaObjectId") FROM "DiaObjectLast")')  # fmt: skip
    result = check("--all")
    assert result.exit_code == 0
    assert "nDiaSources and statistics of 1 object whose sources another program has changed" in result.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--all"], "go with --deep"),
        (["--sample", 5], "go with --deep"),
        (["--seed", 3], "go with --deep"),
        (["--deep", "--all", "--sample", 5], "either --sample or --all"),
        (["--deep", "--sample", -1], "'--sample'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(invoke: Check, options: list[object], reason: str) -> None:
    result = invoke("apdb", "check", *options)
    assert result.exit_code == 2
    assert reason in result.stderr


def test_a_missing_database_is_told(invoke: Check) -> None:
    with pytest.raises(ApdbError, match="does not exist"):
        invoke("apdb", "check", "--deep", "--set", "apdb.url=sqlite:///missing.db")
