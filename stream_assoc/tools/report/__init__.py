"""The report of a night: one HTML file that tells what was seen, how fast, and what deserves a look."""
