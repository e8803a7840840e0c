"""Reading an APDB outside of a session: nothing is changed, and no daemon waits."""
