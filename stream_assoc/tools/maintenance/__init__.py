"""Looking after the cache: whether it holds what the APDB says, and filling it.

No result depends on this room. The pipeline believes nothing cached that the
APDB does not confirm by version, and rebuilds the rest; what can be wrong in
spite of that is a defect of the program or of the memory it runs on, and
`stream_assoc.tools.maintenance.verify` looks for it. `stream_assoc.tools.maintenance.fill`
only saves a coming batch the time of rebuilding.
"""
