from tests.stores.apdb.reading.nights import postgresql_night, sqlite_night

__all__ = ["postgresql_night", "sqlite_night"]
