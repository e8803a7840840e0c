"""Running a command line in the process of the test."""

from typing import Protocol

from typer.testing import Result


class Invoke(Protocol):
    """Runs a command line and returns its result; its exceptions come through."""

    def __call__(self, *arguments: object, **options: object) -> Result: ...
