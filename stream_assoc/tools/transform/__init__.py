"""From any catalogue of detections to batches with Rubin's DIASource columns.

A survey is described by a column mapping, a short TOML file: which of its
columns are the visit, the detector and the time, and how its other columns
become DIASource columns. The mappings of Rubin, DECam and ZTF are packaged.
"""

from stream_assoc.tools.transform.batches import Order, batches
from stream_assoc.tools.transform.ephemerides import Ephemerides
from stream_assoc.tools.transform.exceptions import FootprintError, MappingError, TransformError
from stream_assoc.tools.transform.footprints import footprint_of
from stream_assoc.tools.transform.mapping import Mapping, load_mapping, packaged_mappings

__all__ = [
    "Ephemerides",
    "FootprintError",
    "Mapping",
    "MappingError",
    "Order",
    "TransformError",
    "batches",
    "footprint_of",
    "load_mapping",
    "packaged_mappings",
]
