"""Collects the figures of a run, shows them as a table, and fails the run when a bar is missed without a reason."""

import os
import platform
from collections.abc import Callable, Iterator, Sequence

import psutil
import pytest
from rich.console import Console
from rich.table import Table

from benchmarks.side_by_side import LATEST, Figure, write
from stream_assoc.service.daemon.heap import collect_rarely, keep_freed_memory
from tests.conftest import kafka_bootstrap, postgresql_database, postgresql_url, valkey_url

__all__ = ["kafka_bootstrap", "postgresql_database", "postgresql_url", "valkey_url"]

_FIGURES: list[Figure] = []


@pytest.fixture(scope="session", autouse=True)
def _memory_as_in_the_daemon() -> None:
    collect_rarely()
    keep_freed_memory()


@pytest.fixture
def record() -> Iterator[Callable[[Figure], None]]:
    """Add a figure to the table; a missed bar fails the benchmark once it has measured everything."""
    before = len(_FIGURES)
    yield _FIGURES.append
    missed = [one for one in _FIGURES[before:] if not (one.holds or one.is_explained)]
    assert not missed, "; ".join(
        f"{one.name}: {one.value:.3g} {one.unit}, the bar is {one.bar:.3g}" for one in missed
    )


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary() -> Iterator[None]:
    """Print the table and write it as JSON."""
    if _FIGURES:
        Console().print(table_of(_FIGURES))
        write(_FIGURES, machine())
        Console().print(f"Written to {LATEST}")
    yield


def table_of(figures: Sequence[Figure]) -> Table:
    """Return the figures as a table to print."""
    table = Table("figure", "value", "bar", "met")
    for figure in figures:
        bar = "" if figure.bar is None else f"{'≥' if figure.at_least else '≤'} {figure.bar:g}"
        table.add_row(figure.name, f"{figure.value:.3g} {figure.unit}", bar, verdict(figure))
    return table


def verdict(figure: Figure) -> str:
    """Return whether the bar is met, for the table."""
    if figure.bar is None:
        return ""
    return "yes" if figure.holds else "no, explained" if figure.is_explained else "NO"


def machine() -> dict[str, str]:
    """Return what the figures were measured on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.platform(),
        "python": platform.python_version(),
        "load at the end": f"{os.getloadavg()[0]:.1f}",
    }
