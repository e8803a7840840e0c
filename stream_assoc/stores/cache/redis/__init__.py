"""The cache in Redis or Valkey, alone or as a cluster."""
