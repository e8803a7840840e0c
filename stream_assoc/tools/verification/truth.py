"""What sources really are: a simulation's truth, or the association of a survey."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stream_assoc.core.model.types import IntArray
from stream_assoc.exceptions import reason_of
from stream_assoc.stores.apdb.reading.port import ApdbReader
from stream_assoc.tools.simulation.files import TRUTH_NAME
from stream_assoc.tools.simulation.truth import STATIC_KINDS, UNASSOCIATED, AssociationScore, score
from stream_assoc.tools.verification import VerificationError

SIMULATED_COLUMN: Final = "truth_id"


@dataclass(frozen=True, slots=True)
class Truth:
    """What each source is.

    Attributes
    ----------
    diaSourceId : `numpy.ndarray` [int64], shape (n,)
    truth_id : `numpy.ndarray`, shape (n,)
        Numbers or names; sources of one thing share one.
    """

    diaSourceId: IntArray
    truth_id: npt.NDArray[Any]

    def of(self, diaSourceId: IntArray) -> "Truth":
        """Return the truth of these sources; of some nothing may be known."""
        known = np.isin(self.diaSourceId, diaSourceId)
        return Truth(self.diaSourceId[known], self.truth_id[known])


@dataclass(frozen=True, slots=True)
class Stored:
    """Sources that count in an APDB: stored, and not withdrawn.

    Attributes
    ----------
    diaSourceId, diaObjectId : `numpy.ndarray` [int64], shape (n,)
        Each and its object, 0 for none.
    """

    diaSourceId: IntArray
    diaObjectId: IntArray

    @property
    def n_repeated(self) -> int:
        """Sources that are stored more than once."""
        return len(self.diaSourceId) - len(np.unique(self.diaSourceId))


def find_truth(source: Path) -> Path | None:
    """Return the truth that a simulation has left beside its capture, if there is one."""
    beside = source.parent / TRUTH_NAME
    return beside if beside.is_file() else None


def read_truth(path: Path, column: str | None = None, kinds: Sequence[str] = STATIC_KINDS) -> Truth:
    """Read a table that tells what sources are.

    Parameters
    ----------
    path : `pathlib.Path`
        A Parquet table with ``diaSourceId`` and another column, or the folder
        of a simulation.
    column : `str`, optional
        The other column; a simulation's by default. A survey's own
        association is its ``diaObjectId`` or the like.
    kinds : `~collections.abc.Sequence` [`str`]
        Of a simulation's sources those that belong in one object.

    Raises
    ------
    VerificationError
        If the file or a column is missing.
    """
    path = path / TRUTH_NAME if path.is_dir() else path
    name = column or SIMULATED_COLUMN
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise VerificationError(f"cannot read {path} as a Parquet table: {reason_of(error)}") from error
    for needed in ("diaSourceId", name):
        if needed not in table.column_names:
            raise VerificationError(
                f"{path} has no column {needed}; name the one that tells what a source is with --truth-column"
            )
    if column is None and "kind" in table.column_names:
        table = table.filter(pc.is_in(table["kind"], pa.array(list(kinds), pa.string())))
    table = table.filter(pc.is_valid(table[name]))
    # A source may be listed more than once, as in a table joined with another.
    known = table.select(["diaSourceId", name]).group_by(["diaSourceId", name]).aggregate([])
    ids = np.asarray(known["diaSourceId"].cast(pa.int64()).to_numpy())
    distinct, counts = np.unique(ids, return_counts=True)
    if len(distinct) < len(ids):
        example = distinct[counts > 1][0]
        raise VerificationError(
            f"{path} tells two different {name} of diaSourceId {example}; it can be one thing only"
        )
    return Truth(ids, np.asarray(known[name].to_numpy()))


def read_stored(reader: ApdbReader, diaSourceId: IntArray) -> Stored:
    """Read which of these sources count in an APDB, and their objects."""
    columns = reader.all_sources(["diaSourceId", "diaObjectId"], only_counted=True)
    ids = np.asarray(columns["diaSourceId"].to_numpy(), np.int64)
    objects = np.asarray(pc.fill_null(columns["diaObjectId"], UNASSOCIATED).to_numpy(), np.int64)
    wanted = np.isin(ids, diaSourceId)
    return Stored(ids[wanted], objects[wanted])


def score_stored(stored: Stored, truth: Truth) -> AssociationScore:
    """Compare what is stored with the truth."""
    return score(stored.diaSourceId, stored.diaObjectId, truth.diaSourceId, truth.truth_id)
