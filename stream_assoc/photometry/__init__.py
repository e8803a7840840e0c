"""Forced photometry: the flux at every DIAObject in a detector's footprint, detected or not."""
