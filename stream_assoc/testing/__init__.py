"""Tests that every backend of the APDB must pass, for those who write one. They need pytest.

They ask for what `~stream_assoc.pipeline.ports` promises, not for the means::

    import pytest

    from my_package.backend import CASSANDRA
    from stream_assoc.stores.apdb.backend import ApdbUrl
    from stream_assoc.testing.apdb import ApdbConformance


    class TestCassandra(ApdbConformance):
        @pytest.fixture
        def place(self, keyspace: str) -> ApdbUrl:
            place = CASSANDRA.parse(f"localhost/{keyspace}", None)
            place.administration().init(drop=False, replication=True, tile_level=10, cell_level=8)
            return place

A backend whose ``lsst.dax.apdb`` client is not ``ApdbSql`` overrides ``client`` and ``select`` too.
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{name}"
        for name in (
            "case",
            "commits",
            "apdb",
            "checkpoints",
            "dax",
            "inspection",
            "ledger",
            "other_writers",
            "reading",
            "reprocessing",
            "unlocked_reading",
        )
    )
)
