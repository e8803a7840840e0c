"""Streaming association of DIASources with DIAObjects, every batch exactly once.

`stream_assoc.pipeline` shows on one page how a batch is processed;
``docs/architecture.md`` explains the packages and their dependencies.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

__version__ = version("stream_assoc")

__all__ = ["__version__", "subscribe"]

if TYPE_CHECKING:
    from stream_assoc.tools.subscription.subscribe import subscribe as subscribe


def __getattr__(name: str) -> Any:  # noqa: ANN401 - what is imported decides
    """Import the public functions when they are first used: a command that does not subscribe loads no client."""
    if name == "subscribe":
        # By name: every module imports this package, so it imports none of them.
        return import_module("stream_assoc.tools.subscription.subscribe").subscribe
    raise AttributeError(f"module 'stream_assoc' has no attribute {name!r}")
