"""PostgreSQL's own settings: what suits a machine (`advise`), and what of a server's would hurt (`apdb check`)."""
