"""What is said of a ring that is not there, or lets nobody in."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from cassandra import AuthenticationFailed, Unauthorized
from cassandra.cluster import Cluster, NoHostAvailable

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.cassandra.backend import CassandraUrl
from stream_assoc.stores.apdb.cassandra.connection import translated, undecided
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError
from stream_assoc.stores.apdb.patience import Patience

URL = CassandraUrl(("127.0.0.1",), "apdb", 1, user="u", password="secret")


def test_a_ring_that_is_away_may_come_back() -> None:
    with pytest.raises(ApdbUnavailableError, match=r"Cassandra does not answer .apdb\.url"):
        URL.connect(Patience(connect_seconds=2))


def test_a_user_who_is_refused_is_a_setting_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_cluster: Cluster) -> None:
        raise NoHostAvailable("nobody", {"127.0.0.1": AuthenticationFailed("u and secret do not match")})

    monkeypatch.setattr(Cluster, "connect", refuse)
    with pytest.raises(ApdbConfigurationError, match=r"refuses the user of apdb\.url") as caught:
        URL.connect(Patience())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("raised", [translated, undecided])
def test_what_a_user_may_not_do_is_a_setting_that_is_wrong(
    raised: Callable[[], AbstractContextManager[None]],
) -> None:
    with pytest.raises(ApdbConfigurationError, match=r"may not do .* MODIFY"), raised():
        raise Unauthorized("User u has no MODIFY permission")
