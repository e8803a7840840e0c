"""Which DIASource belongs to which object: candidates, scores, matches, new objects.

Pure computation on arrays. What is decided, and by which formula, is upstream's
``lsst.ap.association`` (June 2026); how it is computed is ours.
"""
