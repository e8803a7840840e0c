"""A PPDB that lsst-dax-ppdb fills, compared with its APDB row for row, and repaired.

lsst-dax-ppdb copies each row once and applies only the changes that dax_apdb
has a record for. What changes without one, and what is committed after its
chunk was copied, differs for good; `stream_assoc.tools.replica.check` finds it
and `stream_assoc.tools.replica.repair` puts it right.
``docs/explanation/replication.md`` explains when that happens.
"""
