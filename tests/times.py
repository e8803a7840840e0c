"""Times of calendar dates."""

from datetime import UTC, datetime

from stream_assoc.core.model.times import mjd_tai_of_unix


def mjd_tai_of(time: datetime) -> float:
    """Return a time as MJD TAI; one without a zone is UTC."""
    moment = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return mjd_tai_of_unix(moment.timestamp())
