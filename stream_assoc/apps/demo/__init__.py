"""A simulated night through the real daemon, on services that need no installation, with its totals checked."""
