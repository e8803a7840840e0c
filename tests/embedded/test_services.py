import psycopg, redis, pathlib
from confluent_kafka.admin import AdminClient
def test_a(valkey_url): assert redis.Redis.from_url(valkey_url).ping()
def test_b(postgresql_database): assert psycopg.connect(postgresql_database).execute("select current_database(), version()").fetchone()
def test_c(kafka_bootstrap): assert AdminClient({"bootstrap.servers":kafka_bootstrap}).list_topics(timeout=5).brokers
def test_d(shared_data): assert (shared_data/"README.md").exists()
