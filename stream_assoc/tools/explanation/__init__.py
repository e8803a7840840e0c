"""Why a stored DIASource belongs to its DIAObject: the decision made again, from what is stored."""
