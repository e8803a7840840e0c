"""What people do with dead letters: find them, look into them, send them back.

Nothing is ever deleted and no note is kept of what was sent back: a letter
stays as long as its topic keeps it, and sending one twice is harmless, because
the ledger lets each batch count once.
"""
