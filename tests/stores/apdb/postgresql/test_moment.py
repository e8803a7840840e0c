"""A moment of PostgreSQL is kept however long it is read, by a user who may only read, and nothing is written."""

from uuid import uuid4

import psycopg
import pytest

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.postgresql.moment import moment_of
from stream_assoc.stores.apdb.reading.open import open_inspection

pytestmark = pytest.mark.integration


def test_no_timeout_ends_it_and_nothing_can_be_written(postgresql_apdb_url: str) -> None:
    with moment_of(postgresql_apdb_url, None, Patience(answer_seconds=0.001)) as moment:
        settings = (
            *("statement_timeout", "idle_in_transaction_session_timeout"),
            *("transaction_isolation", "transaction_read_only"),
        )
        shown = [moment.fetch(f"SHOW {name}")[0][0] for name in settings]
        assert shown == ["0", "0", "repeatable read", "on"]
    with (
        pytest.raises(ApdbUnavailableError, match="read-only"),
        moment_of(postgresql_apdb_url, None, Patience()) as moment,
    ):
        moment.fetch("DELETE FROM {DiaObject}")


def test_a_user_with_select_alone_can_inspect(postgresql_apdb_url: str) -> None:
    reader = f"reader_{uuid4().hex}"
    with psycopg.connect(postgresql_apdb_url, autocommit=True) as server:
        server.execute(f'CREATE ROLE "{reader}" LOGIN'.encode())
        server.execute(f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{reader}"'.encode())
    url = postgresql_apdb_url.replace("//postgres@", f"//{reader}@")
    assert url != postgresql_apdb_url
    with open_inspection(url) as inspection:
        finds = [
            find for part in inspection.parts() for stretch in inspection.stretches(part) for find in stretch.finds
        ]
        assert finds == []
        assert inspection.single_source_counter() == sum(inspection.single_source_objects()) == 0
    with psycopg.connect(postgresql_apdb_url, autocommit=True) as server:
        server.execute(f'DROP OWNED BY "{reader}"'.encode())
        server.execute(f'DROP ROLE "{reader}"'.encode())
