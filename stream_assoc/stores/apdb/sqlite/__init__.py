"""The APDB in an SQLite file."""
