"""What makes the documentation: reference pages written from the code, and what the site's builder is told.

``python -m documentation`` writes the pages anew (`make docs`); with
``--check`` it only tells whether they have drifted (`make check`).
"""
