"""Errors of forced photometry."""

from stream_assoc.exceptions import FatalError, StreamAssocError


class PhotometryError(StreamAssocError):
    """Base of all errors of forced photometry."""


class ImageRootError(PhotometryError, FatalError):
    """An entry of ``images.roots`` is no place where images could be."""


class ImageError(PhotometryError):
    """Nothing can be measured on an image that a batch names.

    None of the three kinds of failure, because it must reach nobody: the
    sources of the batch are as good as any, so it is associated as always.
    Whoever was to read the image catches this, measures nothing on it and
    counts that.
    """


class ImageRefusedError(ImageError):
    """A batch names an image that lies outside of ``images.roots``, or in a way that cannot be judged."""


class ImageUnreadableError(ImageError):
    """An image is missing, damaged, or lacks something that a flux needs."""
