"""Builds the documentation: reference pages written from the code, and hooks for the site's builder.

``python -m documentation`` writes the pages (`make docs`); with ``--check``
it only reports whether they have drifted (`make check`).
"""
