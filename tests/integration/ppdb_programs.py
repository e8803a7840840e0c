"""The programs of lsst-dax-ppdb, run one after the other in one process, because importing them takes seconds.

Runs in ``.cache/ppdb``. Each line of input is a JSON list, the words of a command line; each
line of output is what the program raised, as a JSON string, or null.
"""

import json
import sys
import traceback

from lsst.dax.ppdb.cli import ppdb_cli, ppdb_replication

PROGRAMS = {"ppdb-cli": ppdb_cli.main, "ppdb-replication": ppdb_replication.main}

answers, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    sys.argv = json.loads(line)
    raised = None
    try:
        PROGRAMS[sys.argv[0]]()
    except Exception:  # noqa: BLE001 - the test is told
        raised = traceback.format_exc()
    print(json.dumps(raised), file=answers, flush=True)
