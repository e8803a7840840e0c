import ctypes
import gc
import platform

import pytest

from stream_assoc.service.daemon.heap import collect_rarely, keep_for_good, keep_freed_memory


@pytest.fixture
def collector():
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collector")
def test_ten_thousand_messages_bring_on_no_search_of_the_heap() -> None:
    collect_rarely()
    keep_for_good()
    gc.collect(1)
    before = [generation["collections"] for generation in gc.get_stats()]
    messages = [[number] for number in range(10_000)]
    after = [generation["collections"] for generation in gc.get_stats()]
    assert (len(messages), after[1:]) == (10_000, before[1:])
    assert gc.get_freeze_count() > 0


def test_glibc_can_be_told() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


def test_a_c_library_without_mallopt_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()
