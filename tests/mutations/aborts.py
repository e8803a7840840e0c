"""What becomes of the groups that a claim aborts, made up."""

import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from stream_assoc.stores.apdb.cassandra.groups import State

Abort: TypeAlias = Callable[[uuid.UUID], State]


def claims_by(patch: pytest.MonkeyPatch, claims: type, abort: Abort) -> None:
    """Let claims of this class be told that of a group which they abort, and that group be left alone."""
    claim: Callable[..., None] = vars(claims)["claim"]

    def told(self: Any, *arguments: object) -> None:
        with pytest.MonkeyPatch.context() as within:
            within.setattr(self._groups, "abort", abort)
            claim(self, *arguments)

    patch.setattr(claims, "claim", told)


def as_aborted(_group_id: uuid.UUID) -> State:
    """Tell that a group is aborted, which it is not."""
    return State.ABORTED
