"""Inspection of a whole APDB: whatever contradicts itself is found, named and listed with its remedy.

`stream_assoc.tools.inspection.checks` lists what must hold,
`stream_assoc.tools.inspection.tasks` goes through it. Nothing is changed.
"""
