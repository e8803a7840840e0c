"""A reading room over the APDB: look at what is stored, change nothing, hold nobody up."""
