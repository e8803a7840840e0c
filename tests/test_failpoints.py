"""Failpoints: nothing without the variable, death at the count-th arrival with it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import stream_assoc
from stream_assoc import failpoints


def die() -> None:
    raise SystemExit


def test_nothing_happens_unless_one_is_set() -> None:
    assert failpoints.VARIABLE not in os.environ
    for name in failpoints.FAILPOINTS:
        failpoints.failpoint(name)
    assert failpoints.failpoint is failpoints.armed(None, die)


def test_only_the_place_that_is_named_counts() -> None:
    at = failpoints.armed("after-store:3", die)
    for name in ("after-store", "before-store", "after-poll", "after-store", "after-poll"):
        at(name)
    with pytest.raises(SystemExit):
        at("after-store")


def test_a_setting_may_stop_instead() -> None:
    stops: list[str] = []
    at = failpoints.armed("after-store:2:stop", die, lambda: stops.append("stopped"))
    for _ in range(3):
        at("after-store")
    assert stops == ["stopped"]


@pytest.mark.parametrize(
    "setting",
    [
        "after-store:stop",
        "after-store:1:go",
        "after-lunch",
        "after-store:0",
        "after-store:-1",
        "after-store:soon",
        ":2",
    ],
)
def test_a_setting_that_names_no_arrival_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=re.escape(setting)):
        failpoints.armed(setting, die)


def test_the_process_is_killed_by_the_signal_that_cannot_be_caught() -> None:
    program = "from stream_assoc.failpoints import failpoint; failpoint('after-poll'); print('survived')"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, failpoints.VARIABLE: "after-poll"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, b"")


def test_every_name_marks_exactly_one_place() -> None:
    sources = Path(stream_assoc.__file__).parent.rglob("*.py")
    used = [name for source in sources for name in re.findall(r'\bfailpoint\("([a-z-]+)"\)', source.read_text())]
    known = (*failpoints.FAILPOINTS, *failpoints.COPY_FAILPOINTS, *failpoints.ALERT_FAILPOINTS)
    assert sorted(used) == sorted(set(known))
