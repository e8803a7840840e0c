"""A simulated sky with known truth, and the score of an association against it."""

from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.files import read_truth, write_simulation
from stream_assoc.tools.simulation.night import SimulatedBatch, simulate
from stream_assoc.tools.simulation.truth import AssociationScore, score

__all__ = [
    "AssociationScore",
    "SimulatedBatch",
    "SimulationConfig",
    "read_truth",
    "score",
    "simulate",
    "write_simulation",
]
