"""Adapters that keep data: the APDB and the cache of objects."""
