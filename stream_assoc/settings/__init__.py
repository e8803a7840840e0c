"""What can be configured, where it comes from, and what is refused."""

from stream_assoc.settings.section import ConfigurationError
from stream_assoc.settings.settings import Settings
from stream_assoc.settings.sources import load_settings

__all__ = ["ConfigurationError", "Settings", "load_settings"]
