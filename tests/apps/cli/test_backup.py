"""``apdb copy``, ``begin-backup``, ``end-backup`` and ``apply-plans`` where there is no Cassandra."""

import pytest

from stream_assoc.settings import ConfigurationError
from stream_assoc.stores.apdb.exceptions import ApdbConfigurationError, ApdbSchemaError
from tests.apps.cli.invoking import Invoke

SQL = ("--set", "apdb.url=sqlite:///night.db")


@pytest.mark.parametrize("words", [("begin-backup", "night"), ("end-backup",), ("apply-plans",)], ids=" ".join)
def test_an_sql_database_is_backed_up_by_its_own_tools(invoke: Invoke, words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match=r"apdb\.url names an SQL database.*pg_dump or `sqlite3 \.backup`"):
        invoke("apdb", *words, *SQL)


def test_an_apdb_is_copied_to_cassandra_only(invoke: Invoke) -> None:
    with pytest.raises(ApdbConfigurationError, match=r"copied to Cassandra: write cassandra://.*sqlite3 \.backup"):
        invoke("apdb", "copy", "sqlite:///day.db", *SQL)


def test_a_source_that_is_not_there_is_told(invoke: Invoke) -> None:
    with pytest.raises(ApdbSchemaError, match=r"day\.db"):
        invoke("apdb", "copy", "sqlite:///day.db", "--set", "apdb.url=cassandra://127.0.0.1/nowhere")
