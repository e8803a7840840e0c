"""Daemons on the same tables exclude each other, whatever their settings call them."""

import os
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote, urlsplit

import psycopg
import pytest

from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from stream_assoc.stores.apdb.backend import OpenApdb
from stream_assoc.stores.apdb.create import init
from stream_assoc.stores.apdb.exceptions import ApdbSchemaError
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.stores.apdb.patience import Patience
from stream_assoc.stores.apdb.reading.open import open_reader
from stream_assoc.stores.apdb.rows.tables import OUR_TABLES
from stream_assoc.testing.rows import BIG, CELLS, FIRST, new_objects, store
from tests.contents import n_rows

pytestmark = pytest.mark.integration

HASTY = Patience(lock_seconds=0.05)


def with_search_path(url: str, path: str) -> str:
    options = "-csearch_path=" + path.replace(" ", "")
    return f"{url}{'&' if '?' in url else '?'}options={quote(options)}"


@pytest.fixture
def database(postgresql_apdb_url: str) -> str:
    """An APDB in the schema public, beside schemas that hold none."""
    with psycopg.connect(postgresql_apdb_url, autocommit=True) as server:
        user = server.info.user
        for schema in ("empty", "ANOTHER", user):
            server.execute(f'CREATE SCHEMA "{schema}"')
        # What others call metadata is no APDB.
        server.execute("CREATE TABLE empty.metadata (name TEXT PRIMARY KEY, value TEXT)")
    return postgresql_apdb_url


@pytest.fixture
def opened() -> Iterator[list[OpenApdb]]:
    apdbs: list[OpenApdb] = []
    yield apdbs
    for apdb in apdbs:
        apdb.close()


@pytest.mark.parametrize(
    ("path", "namespace"),
    [
        (None, "public"),
        ("public", None),
        ("empty, public", None),
        ('"$user", public', None),
        ('"ANOTHER", empty, public', "public"),
        ("nowhere", "public"),
    ],
)
def test_the_same_tables_have_the_same_locks(
    database: str, opened: list[OpenApdb], path: str | None, namespace: str | None
) -> None:
    unset = open_apdb(database, patience=HASTY)
    other = open_apdb(database if path is None else with_search_path(database, path), namespace, patience=HASTY)
    opened += [unset, other]
    with unset.exclusive(CELLS), pytest.raises(ApdbUnavailableError, match="lock"), other.exclusive(CELLS):
        pass
    store(other, new_objects(FIRST, [BIG]))
    assert unset.contains(FIRST)
    assert other.report == unset.report


def test_a_renamed_schema_has_the_same_locks(database: str, opened: list[OpenApdb]) -> None:
    before = open_apdb(database, "public", patience=HASTY)
    opened.append(before)
    with before.exclusive(CELLS):
        with psycopg.connect(database, autocommit=True) as server:
            server.execute("ALTER SCHEMA public RENAME TO moved")
        after = open_apdb(database, "moved", patience=HASTY)
        opened.append(after)
        with pytest.raises(ApdbUnavailableError, match="lock"), after.exclusive(CELLS):
            pass


def test_tables_that_come_into_the_search_path_later_are_not_taken_for_ours(
    database: str, opened: list[OpenApdb]
) -> None:
    apdb = open_apdb(with_search_path(database, "empty, public"))
    reader = open_reader(with_search_path(database, "empty, public"))
    opened.append(apdb)
    init(database, "empty")
    store(apdb, new_objects(FIRST, [BIG]))
    with closing(open_reader(database, "empty")) as empty, closing(open_reader(database, "public")) as public:
        assert empty.all_versions(["diaObjectId"]).num_rows == 0
        assert public.all_versions(["diaObjectId"])["diaObjectId"].to_pylist() == [BIG]
    assert reader.first_version(BIG) == pytest.approx(60000.6)
    reader.close()


def test_our_tables_are_made_beside_those_of_the_apdb(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as server:
        for table in OUR_TABLES:
            server.execute(f'DROP TABLE "{table}"'.encode())
        server.execute("DELETE FROM metadata WHERE name LIKE '%stream_assoc%'")
    with pytest.raises(ApdbSchemaError, match="StreamAssocDiaObject"):
        open_apdb(with_search_path(database, "empty, public"))
    init(with_search_path(database, "empty, public"))
    open_apdb(database, "public").close()
    assert n_rows(database, "StreamAssocDiaObject") == 0


def test_views_on_the_tables_of_another_schema_are_refused(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as server:
        tables = server.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        ).fetchall()
        for (table,) in tables:
            server.execute(f'CREATE VIEW "ANOTHER"."{table}" AS SELECT * FROM public."{table}"')
    with pytest.raises(ApdbSchemaError, match=r"DiaObject.* view"):
        open_apdb(database, "ANOTHER")


def test_a_copy_of_a_database_has_an_identity_of_its_own(
    postgresql_url: str, postgresql_template: str, opened: list[OpenApdb]
) -> None:
    """Else tiles that are cached of the one would look current to the other."""
    names = [f"copy_{os.getpid()}_{k}" for k in range(2)]
    with psycopg.connect(postgresql_url, autocommit=True) as server:
        for name in names:
            server.execute(f"CREATE DATABASE {name} TEMPLATE {postgresql_template}")
        try:
            apdbs = [open_apdb(urlsplit(postgresql_url)._replace(path=f"/{name}").geturl()) for name in names]
            assert apdbs[0].report.identity != apdbs[1].report.identity
            for apdb in apdbs:
                apdb.close()
        finally:
            for name in names:
                server.execute(f"DROP DATABASE {name} WITH (FORCE)")
