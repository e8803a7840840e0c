"""Lets the clock of a Python process be off, as an environment variable says: its folder is on PYTHONPATH.

The clock of the whole process cannot be: under libfaketime, timed waits of librdkafka's threads end at once or never.
"""

import os
import time

_seconds = float(os.environ["OFF_CLOCK_SECONDS"])
_right_time = time.time
time.time = lambda: _right_time() + _seconds
