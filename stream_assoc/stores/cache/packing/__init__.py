"""How tiles and states become blobs, and how a damaged or forged blob is known."""
