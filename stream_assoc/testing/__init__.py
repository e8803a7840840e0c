"""Tests that every backend of the APDB must pass, for those who write one. They need pytest.

They ask for what `~stream_assoc.pipeline.ports` promises, not for the means::

    import pytest

    from my_package.backend import SOME_BACKEND
    from stream_assoc.stores.apdb.backend import ApdbUrl
    from stream_assoc.testing.apdb import ApdbConformance


    class TestSomeBackend(ApdbConformance):
        @pytest.fixture
        def place(self, database: str) -> ApdbUrl:
            place = SOME_BACKEND.parse(f"localhost/{database}", None)
            place.administration().init(drop=False, replication=True, tile_level=10, cell_level=8)
            return place

One with transactions, snapshots and triggers passes `~stream_assoc.testing.sql.SqlConformance`.
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
            "other_records",
            "other_writers",
            "reading",
            "replication",
            "reprocessing",
            "unlocked_reading",
        )
    )
)
