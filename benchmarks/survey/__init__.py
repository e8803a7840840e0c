"""A visit of a field that has been seen for ten years: ``python -m benchmarks.survey``, or ``make bench-survey``."""
