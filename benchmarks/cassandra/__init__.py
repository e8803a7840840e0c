"""Visits stored on a real ring of Cassandra: by us, by lsst-dax-apdb, and as rows alone."""
