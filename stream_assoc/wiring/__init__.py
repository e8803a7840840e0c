"""From settings to objects: the one place where ports meet their adapters."""
