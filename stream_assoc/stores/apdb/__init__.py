"""The Alert Production Database: the one place where the truth is kept."""
