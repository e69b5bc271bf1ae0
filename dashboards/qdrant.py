"""Qdrant: is every shard readable, is search fast, is what was written indexed."""

from dashboards.kit import Page, Row
from dashboards.panels import bars, graph, latency, single, timeline
from dashboards.style import GOOD, STATES, Words, above, limit
from dashboards.tables import Column, grid

_STATUS: Words = {
    0: ("green", "green"),
    1: ("yellow", "yellow"),
    2: ("grey", "gray"),
    3: ("red", "red"),
    4: ("failed", "dark-red"),
}
# The worst status by its number: 1 for the present one, 0 for the others.
_WORST = " or ".join(
    f'max by (target, collection) (qdrant_collection_status{{SEL,COLLECTION,status="{status}"}} == 1) * {number}'
    for number, (status, _) in reversed(list(_STATUS.items()))
)

QDRANT = Page(
    "qdrant",
    "Data tier / Qdrant",
    "Qdrant servers and clusters: is every shard readable, is search fast, is what was written indexed.",
    [
        Row("Healthy?", [
            single("State", "The state that /health shows.", "short", 'max by (target) (datatier_target_state{SEL,store="qdrant"})', words=STATES),
            single("Ready", "Whether start-up has ended; it does not go back, whatever breaks later.", "short",
                   "min by (target) (qdrant_ready{SEL})", words=GOOD),
            single("Lost shards", "Shards that no peer can read: searches fail or lack results.", "short",
                   "max by (target) (qdrant_shards_without_active_replica{SEL})", above(fail=1)),
            single("Under-replicated", "Shards with fewer readable replicas than they should have: the next fault loses data.", "short",
                   "max by (target) (qdrant_under_replicated_shards{SEL})", above(warn=1)),
            single("Optimizers", "Collections whose optimizer reports an error: nothing is indexed any more.", "short",
                   "sum by (target) (qdrant_collection_optimizer_ok{SEL} == bool 0)", above(fail=1)),
            single("Memory", "Resident memory of what the server sees; the rest is the page cache that search lives on.", "percentunit",
                   'max by (target) (qdrant_memory_bytes{SEL,kind="resident"}) / max by (target) (qdrant_system_ram_bytes{SEL})', above(0.85, 0.95)),
            single("Unindexed points", "Points that no index holds yet.", "short", "sum by (target) (qdrant_collection_unindexed_points{SEL,COLLECTION})"),
            single("Running for", "Time since the server started.", "s", 'max by (target) (time() - datatier_target_start_time_seconds{SEL,store="qdrant"})'),
        ]),
        Row("Search", [
            graph("Requests", "Requests by operation.", "reqps",
                  {"{{target}} {{operation}}": "topk(12, sum by (target, operation) (rate(qdrant_requests_total{SEL}[$__rate_interval])))"}),
            graph("Errors", "Answers with a 4xx or 5xx status; 429 and 507 are limits.", "reqps",
                  {"{{target}} {{operation}} {{status}}": 'topk(12, sum by (target, operation, status) (rate(qdrant_requests_total{SEL,status=~"[45].."}[5m])))'
                   " or on (target) 0 * max by (target) (qdrant_collections{SEL})"}, above(warn=0.1)),
            graph("Slow requests", "Share of the good requests that took more than 100 ms, by operation.", "percentunit",
                  {"{{target}} {{operation}}": 'topk(12, 1 - sum by (target, operation) (rate(qdrant_request_duration_seconds_bucket{SEL,le="0.1"}[5m]))'
                   ' / (sum by (target, operation) (rate(qdrant_request_duration_seconds_bucket{SEL,le="+Inf"}[5m])) > 0))'}, above(0.01, 0.05)),
            latency("Duration of requests", "How the durations are spread; nothing below 1 ms can be told apart.", "s",
                    "sum by (le) (increase(qdrant_request_duration_seconds_bucket{SEL}[$__rate_interval]))").wide(12),
            graph("Canaries", "Median and 99th percentile of the searches that you configured as query files.", "s",
                  {"{{target}} {{query}} p50": 'histogram_quantile(0.5, sum by (target, query, le) (rate(datatier_query_seconds_bucket{SEL,store="qdrant"}[10m])))',
                   "{{target}} {{query}} p99": 'histogram_quantile(0.99, sum by (target, query, le) (rate(datatier_query_seconds_bucket{SEL,store="qdrant"}[10m])))'},
                  above(0.1, 0.5), every="1m").wide(12),
        ]),
        Row("Collections", [
            timeline("Status", "Green: all is indexed. Yellow: optimizing. Grey: waits for an update. Red: an optimizer failed. Failed: a shard did not load.",
                     {"{{target}} {{collection}}": _WORST}, _STATUS).high(6),
            grid("Collections", "What there is, and how it is kept.", [
                Column("Target", label="target"), Column("Collection", label="collection"),
                Column("Points", "sum by (target, collection) (qdrant_collection_points{SEL,COLLECTION})"),
                Column("Indexed vectors", "sum by (target, collection) (qdrant_collection_indexed_vectors{SEL,COLLECTION})"),
                Column("Unindexed points", "sum by (target, collection) (qdrant_collection_unindexed_points{SEL,COLLECTION})"),
                Column("Deleted vectors", "sum by (target, collection) (qdrant_collection_deleted_vectors{SEL,COLLECTION})"),
                Column("Segments", "sum by (target, collection) (qdrant_collection_segments{SEL,COLLECTION})"),
                Column("Shards", "max by (target, collection) (qdrant_collection_shards{SEL,COLLECTION})"),
                Column("Replication", "max by (target, collection) (qdrant_collection_replication_factor{SEL,COLLECTION})"),
                Column("Vectors (estimate)", "sum by (target, collection) (qdrant_collection_vectors_estimated_bytes{SEL,COLLECTION})", "bytes"),
            ], by="target, collection", every="1m"),
            grid("Vectors as configured", "Dimension, distance, and the settings of the graph; a change here is a new collection.", [
                Column("Target", label="target"), Column("Collection", label="collection"), Column("Vector", label="vector"),
                Column("Dimensions", label="size"), Column("Distance", label="distance"), Column("Data type", label="datatype"), Column("On disk", label="on_disk"),
                Column("m", label="hnsw_m"), Column("ef_construct", label="hnsw_ef_construct"), Column("Quantization", label="quantization"),
                Column("There", "max by (target, collection, vector, size, distance, datatype, on_disk, hnsw_m, hnsw_ef_construct, quantization)"
                       " (qdrant_collection_config_info{SEL,COLLECTION})", hidden=True),
            ], by="target, collection, vector, size, distance, datatype, on_disk, hnsw_m, hnsw_ef_construct, quantization"),
        ]),
        Row("Indexing", [
            graph("Points and indexed vectors", "The gap is what searches must scan, or leave out.", "short",
                  {"{{target}} {{collection}} points": "topk(6, sum by (target, collection) (qdrant_collection_points{SEL,COLLECTION}))",
                   "{{target}} {{collection}} indexed": "topk(6, sum by (target, collection) (qdrant_collection_indexed_vectors{SEL,COLLECTION}))"}, every="1m"),
            graph("Speed of optimization", "Points that optimizations rewrite a second.", "ops",
                  {"{{target}} {{collection}}": "topk(12, sum by (target, collection) (rate(qdrant_collection_optimized_points_total{SEL,COLLECTION}[5m])))"}),
            graph("Waiting updates and optimizations", "Updates that wait to be applied, and optimizations under way.", "short",
                  {"{{target}} {{collection}} updates": "topk(6, qdrant_collection_update_queue_length{SEL,COLLECTION})",
                   "{{target}} {{collection}} optimizations": "topk(6, qdrant_collection_optimizations_running{SEL,COLLECTION})"}),
            graph("Failed optimizations", "An error stays until it is mended: disk full, memory, a broken segment.", "short",
                  {"{{target}} {{collection}}": "topk(12, sum by (target, collection) (increase(qdrant_collection_optimization_failures_total{SEL,COLLECTION}[10m])))"}, above(fail=1)),
            graph("Snapshots", "Snapshots and recoveries under way.", "short",
                  {"{{target}} {{collection}} made": "topk(6, qdrant_collection_snapshots_running{SEL,COLLECTION})",
                   "{{target}} {{collection}} recovered": "topk(6, qdrant_collection_snapshot_recoveries_running{SEL,COLLECTION})"}),
            graph("Age of the newest backup", "Of its own snapshots, and of the sets that places of backups have of it: what a disaster would cost.", "s",
                  {"{{of}} {{check}}": "topk(12, time() - datatier_backup_last_success_timestamp_seconds{OF}"
                   ' and on (of) label_replace(datatier_up{SEL,store="qdrant"}, "of", "$1", "target", "(.*)"))'}, every="1m"),
        ]),
        Row("Memory and process", [
            graph("Memory", "Of the allocator, by kind; mapped files and page cache are not in it.", "bytes",
                  {"{{target}} {{kind}}": "topk(12, qdrant_memory_bytes{SEL})"}),
            graph("In the page cache", "Files of the collections that are cached, and that should be for the configured speed.", "bytes",
                  {"{{target}} {{collection}} cached": "topk(6, sum by (target, collection) (qdrant_collection_cached_bytes{SEL,COLLECTION}))",
                   "{{target}} {{collection}} expected": "topk(6, sum by (target, collection) (qdrant_collection_expected_cache_bytes{SEL,COLLECTION}))"}, every="1m"),
            graph("Page faults from disk", "Many of them: memory is short for the mapped files.", "ops",
                  {"{{target}}": "rate(qdrant_process_major_page_faults_total{SEL}[5m])"}),
            graph("Disk by collection", "Size of the files on disk.", "bytes",
                  {"{{target}} {{collection}}": "topk(12, sum by (target, collection) (qdrant_collection_disk_bytes{SEL,COLLECTION}))"}, every="1m"),
            graph("Memory maps and descriptors", "Used share of what the kernel allows; at 1 the server ends.", "percentunit",
                  {"{{target}} maps": "qdrant_process_open_mmaps{SEL} / qdrant_process_max_mmaps{SEL}",
                   "{{target}} descriptors": "qdrant_process_open_fds{SEL} / qdrant_process_max_fds{SEL}"}, above(0.7, 0.9)),
            bars("Saturation", "Used share of what is limited.", "percentunit", 'topk(12, datatier_saturation_ratio{SEL,store="qdrant"})',
                 limit("disk_used_ratio"), "{{target}} {{resource}}", most=1),
        ]),
        Row("Cluster", [
            graph("Replicas by state", "As all peers say; a killed peer's stay Active until the next write.", "short",
                  {"{{target}} {{state}}": "sum by (target, state) (qdrant_collection_shard_replicas{SEL,COLLECTION})"}, stacked=True),
            graph("Consensus", "Last committed operation: a peer below the others lags. Pending operations should be 0.", "short",
                  {"{{target}} commit": "qdrant_cluster_commit{SEL}", "{{target}} pending": "qdrant_cluster_pending_operations{SEL}"}),
            graph("Messages that did not arrive", "A killed or cut off peer shows here first, on the leader.", "short",
                  {"{{target}} to {{peer_id}}": "topk(12, qdrant_cluster_message_send_failures{SEL})"}, above(warn=1)),
            timeline("Leader known", "Whether the peer knows a leader: without one nothing of the cluster can change.",
                     {"{{target}}": "min by (target) (qdrant_cluster_has_leader{SEL})"}, GOOD).wide(12).high(6),
            timeline("Peers that answer", "As each peer sees the others.",
                     {"{{target}} sees {{peer_id}}": "min by (target, peer_id) (qdrant_cluster_peer_responsive{SEL})"}, GOOD, every="2m").wide(12).high(6),
        ], collapsed=True),
    ],
    stores="qdrant",
    variables=[("collection", "Collection", "label_values(qdrant_collection_points{SEL}, collection)")],
)  # fmt: skip
