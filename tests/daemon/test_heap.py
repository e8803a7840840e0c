import ctypes
import platform

from stream_assoc.daemon.heap import keep_freed_memory


def test_glibc_can_be_told():
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


def test_a_c_library_without_mallopt_is_no_failure(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()
