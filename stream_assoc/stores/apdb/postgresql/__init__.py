"""The APDB on a PostgreSQL server."""
