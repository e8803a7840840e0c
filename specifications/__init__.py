"""Specifications in TLA+, and the program that checks them: ``python -m specifications``."""
