"""What flows: tables, batches, object positions, object states.

Everything here is columnar (numpy or Arrow) and free of I/O. Column names,
units and types are Rubin's, read from ``lsst-sdm-schemas``; the names that are
ours are snake_case.
"""
