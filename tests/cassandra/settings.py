"""How the nodes of a test's ring are set: small, and strict about what they acknowledge."""

from pathlib import Path
from typing import Final

JVM_OPTIONS: Final = (
    "-Xms512m",
    "-Xmx768m",
    "-Xss512k",
    "-XX:MaxDirectMemorySize=256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+PerfDisableSharedMem",
)
"""A heap that lets three nodes live beside the tests, and the compiler of a short life."""

OPENED_PACKAGES: Final = (
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.util",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "jdk.management/com.sun.management.internal",
)
EXPORTED_PACKAGES: Final = (
    "java.base/java.lang.ref",
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.attach/sun.tools.attach",
    "jdk.compiler/com.sun.tools.javac.file",
    "jdk.unsupported/sun.misc",
)
MODULE_OPTIONS: Final = (
    *(f"--add-opens={package}=ALL-UNNAMED" for package in OPENED_PACKAGES),
    *(f"--add-exports={package}=ALL-UNNAMED" for package in EXPORTED_PACKAGES),
)
"""Modules of Java 17 that Cassandra 5.0 reaches into."""

NODE_PROPERTIES: Final = (
    "cassandra-foreground=yes",
    "cassandra.available_processors=2",
    "cassandra.ring_delay_ms=1000",
    "cassandra.skip_wait_for_gossip_to_settle=0",
    "cassandra.superuser_setup_delay_ms=0",
)
"""Nodes that know their tokens have nobody to wait for."""

LOGGING: Final = """\
<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d %p %c: %m%n</pattern></encoder>
  </appender>
  <root level="warn"><appender-ref ref="console"/></root>
</configuration>
"""


def node_settings(folder: Path, address: str, seed: str, token: int) -> dict[str, object]:
    """Return the settings of one node, as ``cassandra.yaml`` has them.

    A node syncs its commit log before it acknowledges. Its token is given, so
    that no node has to learn its own from the others. Batches may be as large as those of dax_apdb.
    """
    return {
        "cluster_name": "test",
        "num_tokens": 1,
        "initial_token": str(token),
        "auto_bootstrap": False,
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        "endpoint_snitch": "SimpleSnitch",
        "seed_provider": [
            {
                "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                "parameters": [{"seeds": seed}],
            }
        ],
        "listen_address": address,
        "rpc_address": address,
        "start_native_transport": True,
        "data_file_directories": [str(folder / "data")],
        "commitlog_directory": str(folder / "commitlog"),
        "saved_caches_directory": str(folder / "saved_caches"),
        "hints_directory": str(folder / "hints"),
        "cdc_raw_directory": str(folder / "cdc_raw"),
        "commitlog_sync": "group",
        "commitlog_sync_group_window": "2ms",
        "commitlog_segment_size": "32MiB",
        "commitlog_total_space": "512MiB",
        "disk_access_mode": "standard",
        "memtable_heap_space": "128MiB",
        "memtable_offheap_space": "64MiB",
        "file_cache_size": "32MiB",
        "networking_cache_size": "32MiB",
        "key_cache_size": "8MiB",
        "counter_cache_size": "0MiB",
        "concurrent_reads": 8,
        "concurrent_writes": 16,
        "concurrent_compactors": 1,
        "read_request_timeout": "10000ms",
        "range_request_timeout": "20000ms",
        "write_request_timeout": "10000ms",
        "cas_contention_timeout": "5000ms",
        "request_timeout": "20000ms",
        "paxos_variant": "v2",
        "auto_snapshot": False,
        "batch_size_warn_threshold": "1MiB",
        "batch_size_fail_threshold": "16MiB",
    }
