"""What takes each rule of the protocol on Cassandra out of the code, as docs/cassandra-protocol.md names them.

A rule is left out by the least that leaves it out: a function that does without it, or a condition less.
"""

from collections.abc import Callable
from typing import Final

import pytest

from tests.mutations import backups, groups_and_plans, intents_and_leases, other_writers, publishing, reading

Mutation = Callable[[pytest.MonkeyPatch], None]

MUTATIONS: Final[dict[str, Mutation]] = {
    **intents_and_leases.MUTATIONS,
    **groups_and_plans.MUTATIONS,
    **reading.MUTATIONS,
    **publishing.MUTATIONS,
    **other_writers.MUTATIONS,
    **backups.MUTATIONS,
}
