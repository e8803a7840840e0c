"""Runs a test once more for each rule that it is marked with, with the rule left out: then it has to fail.

``@pytest.mark.rules("Fence", "CommitIfMine")`` names rules of docs/cassandra-protocol.md; what takes each of
them out of the code is in `tests.mutations.rules`.
"""

from collections.abc import Generator, Iterator
from typing import Final

import pytest

from stream_assoc.pipeline.exceptions import (
    ApdbUnavailableError,
    DuplicateSourceError,
    FencedError,
    LedgerConflictError,
    RowsRefusedError,
)
from stream_assoc.stores.apdb.exceptions import ApdbDamagedError

MARK: Final = "rules"
ALL_RULES: Final = "all rules"
WAITED_TOO_LONG: Final = "another session holds"

SHOWN: Final = (
    AssertionError,
    pytest.fail.Exception,
    ApdbDamagedError,
    DuplicateSourceError,
    FencedError,
    LedgerConflictError,
    RowsRefusedError,
)
"""How a test may fail for a rule: by what it asserts, or by what the database is found to hold."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let a test that shows rules run with all of them, and without each."""
    named = rules_of(metafunc.definition)
    if named:
        # Those that need a server take a second each, and are for `make mutations`.
        marks = [pytest.mark.mutation] if metafunc.definition.get_closest_marker("integration") else []
        left_out = [pytest.param(rule, marks=marks, id=f"without {rule}") for rule in named]
        metafunc.parametrize("left_out", [pytest.param(None, id=ALL_RULES), *left_out], indirect=True)


@pytest.fixture(autouse=True)
def left_out(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Leave a rule out while a test runs, and its fixtures; return its name."""
    rule: str | None = getattr(request, "param", None)
    if rule is None:
        yield None
        return
    # What is patched may have another name by now, which is nothing to the other tests.
    from tests.mutations.rules import MUTATIONS

    with pytest.MonkeyPatch.context() as patch:
        MUTATIONS[rule](patch)
        yield rule


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Turn a failure without a rule into success, and success into a failure."""
    rule = pyfuncitem.funcargs.get("left_out")
    if rule is None:
        return (yield)
    try:
        yield
    except (*SHOWN, ApdbUnavailableError) as error:
        if not isinstance(error, SHOWN) and WAITED_TOO_LONG not in str(error):
            raise
        print(f"without {rule}: {type(error).__name__}: {error}")
        return True
    pytest.fail(f"this test passes without the rule {rule}")


def rules_of(definition: pytest.Item) -> list[str]:
    """Return the rules that a test shows."""
    return [rule for mark in definition.iter_markers(MARK) for rule in mark.args]
