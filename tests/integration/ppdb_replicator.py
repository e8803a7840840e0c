"""lsst-dax-ppdb's own replicator, which copies what there is for each line it is sent; runs in ``.cache/ppdb``.

Starting ``ppdb-replication`` takes seconds, which a test that replicates after every batch does not have.
"""

import sys

from lsst.dax.apdb import ApdbReplica
from lsst.dax.ppdb import Ppdb
from lsst.dax.ppdb.replicator import Replicator

replicator = Replicator(
    ApdbReplica.from_uri(sys.argv[1]),
    Ppdb.from_uri(sys.argv[2]),
    update=False,
    min_wait_time=0,
    max_wait_time=0,
    check_interval=0,
)
for _ in sys.stdin:
    replicator.run(exit_on_empty=True)
    print("replicated", flush=True)
