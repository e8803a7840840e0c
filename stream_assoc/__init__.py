"""Streaming association of DIASources with DIAObjects, every batch exactly once.

The way a batch travels is told on one page in `stream_assoc.pipeline`; the
rooms and the arrows between them in ``docs/architecture.md``.
"""

from importlib.metadata import version

__version__ = version("stream_assoc")
