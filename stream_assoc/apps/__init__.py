"""Programs: the command line, the dashboard and the demo."""
