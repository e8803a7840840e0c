"""The cache of DIAObjects: fast, shared between daemons, and never trusted.

Redis is not a source of truth here. Every tile carries the version that the
APDB gives it, and every object state the validityStartMjdTai that its tile
gives it; whatever does not match counts as missing and is rebuilt from the
APDB. So the cache may be flushed, restarted from an old snapshot, or written
to by a daemon that had been presumed dead, and no result changes.
"""
