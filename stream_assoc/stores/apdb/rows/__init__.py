"""The rows that an APDB holds of a batch, whatever database it is in."""
