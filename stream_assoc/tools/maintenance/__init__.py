"""Maintenance of the cache: compare it with the APDB, repair it, and fill it.

No result depends on this package. The pipeline uses a cached tile or state only
if the APDB confirms its version, and rebuilds the rest. An entry that is wrong
in spite of that shows a defect of the program or of the memory it runs on;
`stream_assoc.tools.maintenance.verify` finds it.
`stream_assoc.tools.maintenance.fill` writes everything anew. What is only missing
or old `stream_assoc.pipeline.warming` writes.
"""
