"""Reading without a session: an object is left out while a batch that may have changed it is written."""

from typing import Any

import numpy as np

from stream_assoc.core.model.types import IntArray
from stream_assoc.core.sky.htm import htm_index
from stream_assoc.stores.apdb.arrays import arrays_of
from stream_assoc.stores.apdb.cassandra.session_reader import CassandraSessionReader


class UnlockedReader(CassandraSessionReader):
    """`SessionReader` that holds no cells.

    A state is kept under the version of its object. That is a row like the
    sources that it counts, and may be there before them: then what is read of
    the object belongs to no version.
    """

    def _stored_versions(self, diaObjectId: IntArray) -> list[tuple[Any, ...]]:
        """Return the latest versions of which all rows are there, and will be in whatever is read after this."""
        rows = super()._stored_versions(diaObjectId)
        _, ra, dec = arrays_of([row[:3] for row in rows], "idd")
        cells = htm_index(ra, dec, self._database.cell_level)
        # After the versions: a batch whose row was among them is applied by now, or found here.
        written = self._database.leases.being_written(np.unique(cells).tolist())
        return [row for row, cell in zip(rows, cells.tolist(), strict=True) if cell not in written]
