"""Cutouts of images around sources, as alerts carry them: small FITS files in Rubin's layout."""
