"""What a backend promises beyond `ApdbConformance`, if its database has transactions, snapshots and triggers."""

from stream_assoc.testing.apdb import ApdbConformance
from stream_assoc.testing.checkpoints import OutdatedCheckpointTests
from stream_assoc.testing.dax import DaxCountTests
from stream_assoc.testing.inspection import InspectionOfOneMomentTests
from stream_assoc.testing.other_records import OtherRecordsTests
from stream_assoc.testing.other_writers import UnannouncedWritersTests
from stream_assoc.testing.unlocked_reading import OneMomentTests


class SqlConformance(
    ApdbConformance,
    OneMomentTests,
    UnannouncedWritersTests,
    OutdatedCheckpointTests,
    OtherRecordsTests,
    InspectionOfOneMomentTests,
    DaxCountTests,
):
    """Everything that an SQL backend promises. A subclass overrides the fixture ``place``."""
