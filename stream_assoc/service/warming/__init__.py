"""Warming the cache ahead of announced visits: what waits, at what pace, and the loop."""
