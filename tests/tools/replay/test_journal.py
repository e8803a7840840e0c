from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.tools.replay.exceptions import ManifestError, ReplayInUseError
from stream_assoc.tools.replay.journal import JOURNAL_NAME, Journal, Progress


def reopened(folder):
    with Journal(folder) as journal:
        return journal.progress


def test_a_new_journal_knows_of_nothing(tmp_path: Path) -> None:
    assert reopened(tmp_path) == Progress(0, 0, 0)
    assert not reopened(tmp_path).doubtful


def test_what_was_intended_and_not_confirmed_is_in_doubt(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.intend(200)
        journal.confirm(200)
        journal.intend(350)
        told = journal.progress
    assert reopened(tmp_path) == told
    assert told.doubtful == range(200, 350)


def test_doubt_is_as_old_as_its_first_intent(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.intend(10)
        first = journal.progress.intended_ms
    with Journal(tmp_path) as journal:
        journal.intend(20)
        assert (journal.progress.intended_ms, journal.progress.doubtful) == (first, range(20))
        journal.confirm(10)
        assert journal.progress.doubtful == range(10, 20)


@given(st.integers(0, 200))
def test_a_kill_within_a_line_loses_that_line_only(tmp_path_factory: pytest.TempPathFactory, n_bytes) -> None:
    folder = tmp_path_factory.mktemp("run")
    with Journal(folder) as journal:
        journal.intend(5)
        journal.confirm(5)
        journal.intend(9)
    whole = (folder / JOURNAL_NAME).read_bytes()
    (folder / JOURNAL_NAME).write_bytes(whole[:n_bytes])
    n_whole = whole[:n_bytes].count(b"\n")
    expected = [(0, 0), (0, 5), (5, 5), (5, 9)][n_whole]
    with Journal(folder) as journal:
        assert (journal.progress.n_confirmed, journal.progress.n_intended) == expected
        journal.intend(12)
    assert reopened(folder).n_intended == 12


def test_damage_elsewhere_is_told(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.intend(5)
        journal.confirm(5)
    path = tmp_path / JOURNAL_NAME
    path.write_bytes(path.read_bytes().replace(b"intend 5", b"intend 6"))
    with pytest.raises(ManifestError, match="line 1 is damaged"):
        Journal(tmp_path)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(ReplayInUseError, match="another process"):
        Journal(tmp_path)
