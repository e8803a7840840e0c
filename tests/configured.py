"""Settings from sections as a file gives them."""

from typing import Any

from stream_assoc.settings import Settings


def configured(**sections: Any) -> Settings:
    """Return settings with these sections, which are checked when they are read and not by their types."""
    return Settings(**sections)
