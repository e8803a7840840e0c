"""A dump of data only goes into a database that `apdb init` has made, as docs/how-to/recover.md says."""

import os
import subprocess
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

from stream_assoc.stores.apdb.create import check, init
from stream_assoc.stores.apdb.factory import open_apdb
from stream_assoc.testing.rows import BIG, FIRST, new_objects, store
from stream_assoc.tools.embedded.postgresql import EmbeddedPostgresql
from tests.documentation.console import commands, program_of
from tests.services import new_database

PAGE = "docs/how-to/recover.md"


@pytest.mark.integration
def test_it_arrives_as_it_was(tmp_path: Path) -> None:
    told = [one.text for one in commands(PAGE) if program_of(one) in {"pg_dump", "psql"}]
    assert len(told) == 3
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgresql())
        old, new = (stack.enter_context(new_database(server.url)) for _ in range(2))
        init(old)
        with closing(open_apdb(old)) as apdb:
            store(apdb, new_objects(FIRST, [BIG]))
        with psycopg.connect(old) as connection:
            # What other programs have changed is noted, and so is a tile's second version.
            connection.execute('UPDATE "DiaSource" SET ra = ra')
        init(new)
        environment = {**os.environ, "PATH": f"{server.programs}{os.pathsep}{os.environ['PATH']}"}
        for text, url in zip(told, (old, new, new), strict=True):
            command = text.replace("postgresql://postgres@db/apdb", f"'{url}'")
            assert command != text
            subprocess.run(command, shell=True, cwd=tmp_path, env=environment, check=True, capture_output=True)
        with psycopg.connect(old) as before, psycopg.connect(new) as after:
            tables = [
                name
                for (name,) in before.execute(
                    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
                )
            ]
            assert {"metadata", "DiaSource", "StreamAssocChanged", "StreamAssocTile"} <= set(tables)
            for table in tables:
                query = f'SELECT t::text FROM "{table}" AS t ORDER BY 1'.encode()
                assert after.execute(query).fetchall() == before.execute(query).fetchall(), table
        check(new)
