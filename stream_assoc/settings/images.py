"""Settings of forced photometry: where images may be read, and what is measured on them."""

import difflib
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, FilePath, field_validator

from stream_assoc.settings.secrets import redacted
from stream_assoc.settings.section import Section

_MASK_PLANES: Final = (
    *("BAD", "CLIPPED", "CR", "CROSSTALK", "DETECTED", "DETECTED_NEGATIVE", "EDGE", "HIGH_VARIANCE", "INEXACT_PSF"),
    *("INJECTED", "INJECTED_TEMPLATE", "INTRP", "ITL_DIP", "NO_DATA", "NOT_DEBLENDED", "PARTLY_VIGNETTED"),
    *("REJECTED", "SAT", "SAT_TEMPLATE", "SENSOR_EDGE", "SPIKE", "STREAK", "SUSPECT", "UNMASKEDNAN", "VIGNETTED"),
)
"""Rubin's mask planes. An image may have others, but hardly one of nearly the same name."""

MaskPlane = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]


class ImageSettings(Section):
    """Which of the images that batches name may be read. With roots set, forced photometry is on."""

    roots: tuple[str, ...] = Field(
        default=(),
        description="Where images may be: absolute folders, s3://bucket/prefix, https://host/path. A batch with "
        "images elsewhere is processed without them. None: no image is read, and forced photometry is "
        "off.",
    )
    max_bytes: int = Field(
        default=512 * 2**20,
        ge=1024,
        description="Largest image read, bytes. The limit applies to the file, to its decompressed content and to "
        "its pixels.",
    )
    timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        description="Longest time for one image, all attempts together, seconds. After that its batch is processed "
        "without images.",
    )
    attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        description="Attempts to read from an object store or web server that does not answer.",
    )
    s3_endpoint_url: str | None = Field(
        default=None,
        description="Object store that speaks S3, http(s)://host:port. Unset: Amazon's. Credentials come from the "
        "AWS_ variables or files.",
    )
    ssl_ca_file: FilePath | None = Field(
        default=None,
        description="PEM file of the authorities that may sign the certificates of image servers. Unset: the "
        "system's.",
    )

    @field_validator("roots")
    @classmethod
    def _hold_no_secret(cls, roots: tuple[str, ...]) -> tuple[str, ...]:
        for root in roots:
            if "://" in root and set(root) & set("@?#"):
                raise ValueError(f"{redacted(root)!r} holds a user, a query or a fragment; a root is a plain place")
        return roots

    @field_validator("s3_endpoint_url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("an endpoint of S3 begins with http:// or https://")
        if url is not None and "@" in url:
            raise ValueError("credentials do not belong into the URL; set the AWS_ variables")
        if url is not None and (set(url) & set("?#") or not urlsplit(url).hostname):
            raise ValueError("an endpoint of S3 is http(s)://host:port, without a query")
        return url


class ForcedPhotometrySettings(Section):
    """Which DIAObjects are measured on the images of a batch, and how."""

    history_threshold: int = Field(
        default=2,
        ge=1,
        description="An object that the visit did not update is measured if it has at least so many sources.",
    )
    min_reliability: float = Field(
        default=0.5, ge=0, le=1, description="Lowest reliability of the good source that such an object must have."
    )
    max_trail_arcsec: float = Field(
        default=1.4,
        ge=0,
        description="Longest trail of that source, arcsec. A glint or a dipole is no good source either.",
    )
    weighting: Literal["uniform", "inverse_variance"] = Field(
        default="uniform",
        description="Weight of each pixel: `uniform`, as Rubin does, or `inverse_variance`, best where the variance "
        "plane does not include the source itself.",
    )
    bad_planes: tuple[MaskPlane, ...] = Field(
        default=("BAD", "NO_DATA", "SAT"), description="Mask planes whose pixels are left out."
    )

    @field_validator("bad_planes")
    @classmethod
    def _are_not_misspelt(cls, planes: tuple[str, ...]) -> tuple[str, ...]:
        for plane in planes:
            if plane not in _MASK_PLANES and (near := difflib.get_close_matches(plane, _MASK_PLANES, n=1)):
                raise ValueError(f"{redacted(plane)!r} is no mask plane of Rubin's; did you mean {near[0]}?")
        return planes
