"""What the SQL backends share: statements, rows, migrations and checks of the schema."""
