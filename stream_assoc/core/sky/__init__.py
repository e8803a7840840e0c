"""The sphere: unit vectors, separations, the HTM index, footprints.

Angles come in and go out in degrees (separations, margins and radii in
arcseconds), trixels are the int64 indices of the Hierarchical Triangular Mesh
(Szalay et al. 2007, arXiv:cs/0701164) exactly as ``lsst.sphgeom`` numbers them.
"""
