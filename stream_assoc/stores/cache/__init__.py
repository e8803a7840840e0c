"""The cache of DIAObjects: fast, shared between daemons, and never trusted.

Redis is not a source of truth. Every tile carries the version that the APDB
gives it, and every object state the validityStartMjdTai that its tile gives it.
What does not match counts as missing and is rebuilt from the APDB. So no result
changes when the cache is flushed, restarted from an old snapshot, or written to
late by a daemon that was presumed dead.
"""
