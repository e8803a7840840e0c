"""The child of a trial ends quietly when its daemon was killed: another daemon finds the messages in Kafka."""

import os
import pickle
import subprocess
import sys

import pytest

from stream_assoc.service.daemon.trial import BEGUN, DAEMON_GONE
from stream_assoc.settings import Settings
from stream_assoc.wiring.trial_process import announce
from tests.service.daemon.fakes import message


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_task_that_was_cut_short_is_not_begun(share: float) -> None:
    task = pickle.dumps((Settings(), [message(0)]))
    command = [sys.executable, "-m", "stream_assoc.wiring.trial_process"]
    ended = subprocess.run(command, input=task[: int(share * len(task))], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (DAEMON_GONE, b"", b"")


def test_a_child_whose_daemon_was_killed_begins_no_message() -> None:
    reader, writer = os.pipe()
    announce(writer)
    assert os.read(reader, 2) == BEGUN
    os.close(reader)
    with pytest.raises(SystemExit) as ended:
        announce(writer)
    os.close(writer)
    assert ended.value.code == DAEMON_GONE
