"""Copying an APDB in an SQL database into a keyspace."""
