"""The report of a night: one HTML file with what was seen, how fast it was processed, and what deserves a look."""
