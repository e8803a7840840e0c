"""The APDB on Apache Cassandra: conditional writes in place of transactions (docs/cassandra-protocol.md)."""
