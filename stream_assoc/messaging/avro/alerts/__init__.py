"""Alert packets as Rubin sends them: their schemas, written from columns and read one by one."""
