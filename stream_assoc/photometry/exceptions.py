"""Errors of forced photometry."""

from stream_assoc.exceptions import FatalError, StreamAssocError
from stream_assoc.pipeline.exceptions import ImageError


class PhotometryError(StreamAssocError):
    """Base of all errors of forced photometry."""


class ImageRootError(PhotometryError, FatalError):
    """An entry of ``images.roots`` is no place where images could be."""


class ImageRefusedError(ImageError):
    """A batch names an image that lies outside of ``images.roots``, or in a way that cannot be judged."""

    reason = "refused"


class ImageUnavailableError(ImageError):
    """Where an image is kept did not answer in time, and may answer the next time."""

    reason = "unavailable"


class ImageUnreadableError(ImageError):
    """An image lacks something that a flux needs, such as a WCS, a variance or a PSF."""

    reason = "incomplete"


class ImageMissingError(ImageUnreadableError):
    """There is no such image, or it may not be read."""

    reason = "missing"


class ImageTooLargeError(ImageUnreadableError):
    """An image has more bytes than ``images.max_bytes``."""

    reason = "too_large"


class ImageDamagedError(ImageUnreadableError):
    """An image is truncated, corrupt or no FITS file."""

    reason = "damaged"


class ImageMismatchError(ImageUnreadableError):
    """An image is of another visit or detector than its batch."""

    reason = "mismatch"
