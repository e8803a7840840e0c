"""How long to wait for a database."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a database before it counts as away.

    Attributes
    ----------
    connect_seconds : `float`
        For a connection. SQLite needs none.
    answer_seconds : `float`
        For a sign of life of a server that works for us.
    lock_seconds : `float`
        For what another session holds: cells, or SQLite's one writer.
    idle_seconds : `float`
        Of the server, for a session that holds cells and asks for nothing.
    """

    connect_seconds: float = 10.0
    answer_seconds: float = 30.0
    lock_seconds: float = 30.0
    idle_seconds: float = 300.0

    @property
    def silence_seconds(self) -> float:
        """The longest silence of a server that is well: it may spend it waiting for a lock."""
        return self.answer_seconds + self.lock_seconds


DEFAULT_PATIENCE: Final = Patience()
