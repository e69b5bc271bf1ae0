"""Neo4j: are all databases online, what is slow, what is short."""

from dashboards.kit import Page, Row
from dashboards.panels import bars, graph, latency, single, timeline
from dashboards.style import GOOD, STATES, above, limit
from dashboards.tables import Column, grid

_HEAP = 'neo4j_jvm_memory_bytes{SEL,area="heap",kind="%s"}'

NEO4J = Page(
    "neo4j",
    "Data tier / Neo4j",
    "Neo4j servers: are all databases online, what is slow, what is short.",
    [
        Row("Healthy?", [
            single("State", "The state that /health shows.", "short", 'max by (target) (datatier_target_state{SEL,store="neo4j"})', words=STATES),
            single("Not online", "Databases that are meant to be online and are not.", "short",
                   'sum by (target) (neo4j_db_requested_online{SEL,NEO_DB} == 1 unless on (job, instance, target, db) neo4j_db_status{SEL,status="online"} > 0)'
                   " or 0 * sum by (target) (neo4j_db_requested_online{SEL})", above(fail=1)),
            single("Oldest transaction", "How long the oldest open transaction has been open: it holds locks, and memory.", "s",
                   "max by (target) (neo4j_transactions_longest_seconds{SEL,NEO_DB})", above(60, 600)),
            single("Heap", "Used share of the heap; above 0.9 the collector has little room.", "percentunit",
                   f"max by (target) ({_HEAP % 'used'}) / max by (target) ({_HEAP % 'max'})", limit("heap_used_ratio")),
            single("Time in GC", "Share of the time that goes into garbage collection.", "percentunit",
                   "sum by (target) (rate(neo4j_jvm_gc_seconds_total{SEL}[5m]))", above(0.1, 0.3)),
            single("Failed indexes", "Indexes that the planner ignores until they are made anew.", "short",
                   'sum by (target) (neo4j_indexes{SEL,NEO_DB,state="FAILED"}) or 0 * max by (target) (neo4j_up{SEL})', above(warn=1), every="1m"),
            single("Connections", "Open client connections, ours among them.", "short", "sum by (target) (neo4j_connections{SEL})"),
            single("Running for", "Time since the server started.", "s", 'max by (target) (time() - datatier_target_start_time_seconds{SEL,store="neo4j"})'),
        ]),
        Row("Queries", [
            graph("Queries", "Queries that ended well.", "ops",
                  {"{{target}} {{db}}": "topk(12, sum by (target, db) (rate(neo4j_query_duration_seconds_count{SEL,NEO_DB}[5m])))"}, every="1m"),
            graph("Slow queries", "Share of the queries that took more than half a second.", "percentunit",
                  {"{{target}} {{db}}": 'topk(12, 1 - sum by (target, db) (rate(neo4j_query_duration_seconds_bucket{SEL,NEO_DB,le="0.5"}[5m]))'
                   ' / (sum by (target, db) (rate(neo4j_query_duration_seconds_bucket{SEL,NEO_DB,le="+Inf"}[5m])) > 0))'}, above(0.05, 0.2), every="1m"),
            graph("Compiling", "Share of a core that goes into compiling queries: without parameters, each is compiled anew.", "percentunit",
                  {"{{target}} {{db}}": "topk(12, rate(neo4j_query_compile_seconds_total{SEL,NEO_DB}[5m]))"}, above(0.5), every="1m"),
            latency("Duration of queries", "How the durations are spread.", "s",
                    "sum by (le) (increase(neo4j_query_duration_seconds_bucket{SEL,NEO_DB}[5m]))", every="1m").wide(16),
            graph("Unseen queries", "Polls before which the server may have forgotten queries that were not counted yet.", "short",
                  {"{{target}} {{db}}": "topk(12, increase(neo4j_query_samples_gap_total{SEL,NEO_DB}[10m]))"}, every="1m"),
        ]),
        Row("Transactions", [
            graph("Transactions by status", "Open transactions; blocked ones wait for a lock.", "short",
                  {"{{target}} {{db}} {{status}}": "topk(12, neo4j_transactions{SEL,NEO_DB})"}, stacked=True),
            graph("Old transactions", "Open transactions older than the threshold.", "short",
                  {"{{target}} {{db}} over {{threshold}} s": "topk(12, neo4j_transactions_over{SEL,NEO_DB})"}),
            graph("Transactions begun", "Transactions begun, the server's own among them.", "ops",
                  {"{{target}} {{db}}": "topk(12, rate(neo4j_transactions_started_total{SEL,NEO_DB}[5m]))"}),
            graph("Locks held", "Locks that open transactions hold.", "short", {"{{target}} {{db}}": "topk(12, neo4j_transactions_locks{SEL,NEO_DB})"}),
            graph("Waiting for locks", "Time that the open transactions have waited so far, added up.", "s",
                  {"{{target}} {{db}}": "topk(12, neo4j_transactions_wait_seconds{SEL,NEO_DB})"}, above(10, 60)),
            graph("Memory of transactions", "Heap that open transactions use, as estimated.", "bytes",
                  {"{{target}} {{db}}": "topk(12, neo4j_transactions_heap_bytes{SEL,NEO_DB})"}),
        ]),
        Row("Memory and processor", [
            graph("Heap", "Used, committed and the most there may be.", "bytes",
                  {"{{target}} {{kind}}": 'neo4j_jvm_memory_bytes{SEL,area="heap"}'}),
            graph("Garbage collection", "Share of the time by collector.", "percentunit",
                  {"{{target}} {{gc}}": "topk(12, rate(neo4j_jvm_gc_seconds_total{SEL}[5m]))"}, above(0.1, 0.3)),
            graph("After collections", "What the last collection of each pool left: what grows here is a leak.", "bytes",
                  {"{{target}} {{pool}}": 'topk(12, neo4j_jvm_memory_pool_bytes{SEL,kind="used_after_gc"})'}, every="1m"),
            graph("Processor", "Share of all processors, of the server and of the machine.", "percentunit",
                  {"{{target}} {{scope}}": "neo4j_jvm_cpu_ratio{SEL}"}, above(0.8, 0.95)),
            graph("Page faults of open transactions", "What they had to read from disk so far; only Enterprise tells the page cache as a whole.", "short",
                  {"{{target}} {{db}}": "topk(12, neo4j_transactions_running_page_faults{SEL,NEO_DB})"}),
            bars("Saturation", "Used share of what is limited.", "percentunit", 'topk(12, datatier_saturation_ratio{SEL,store="neo4j"})',
                 limit("heap_used_ratio"), "{{target}} {{resource}}", most=1),
            graph("Descriptors", "Open file descriptors of those allowed.", "percentunit",
                  {"{{target}}": "neo4j_jvm_open_fds{SEL} / neo4j_jvm_max_fds{SEL}"}, above(0.7, 0.9)),
            graph("Threads", "Live threads of the server.", "short", {"{{target}} {{kind}}": "neo4j_jvm_threads{SEL}"}),
            graph("Connections", "Open client connections by connector.", "short", {"{{target}} {{connector}}": "neo4j_connections{SEL}"}),
        ]),
        Row("Databases", [
            timeline("Online", "Whether each database has a copy that is online.",
                     {"{{target}} {{db}}": 'max by (target, db) (neo4j_db_status{SEL,NEO_DB,status="online"} > bool 0)'}, GOOD).high(6),
            graph("Nodes", "Nodes by database: did an import or a deletion run away?", "short", {"{{target}} {{db}}": "topk(12, neo4j_nodes{SEL,NEO_DB})"}, every="1m").wide(12),
            graph("Relationships", "Relationships by database, likewise.", "short", {"{{target}} {{db}}": "topk(12, neo4j_relationships{SEL,NEO_DB})"}, every="1m").wide(12),
            grid("Indexes", "By state and type; FAILED and POPULATING ones help no query.", [
                Column("Target", label="target"), Column("Database", label="db", width=110), Column("State", label="state", width=120), Column("Type", label="type", width=110), Column("Of", label="entity", width=130),
                Column("Indexes", "sum by (target, db, state, type, entity) (neo4j_indexes{SEL,NEO_DB} > 0)", width=80),
            ], by="target, db, state, type, entity", every="1m").wide(12),
            grid("Least read indexes", "Reads in the time shown: what nobody reads slows down writes.", [
                Column("Target", label="target"), Column("Database", label="db"), Column("Index", label="index"), Column("Type", label="type"),
                Column("Reads", "bottomk(15, sum by (target, db, index, type) (increase(neo4j_index_reads_total{SEL,NEO_DB}[$__range])))"),
            ], by="target, db, index, type", every="1m").wide(12),
        ]),
        Row("Cluster and settings", [
            graph("Behind the leader", "Transactions by which the slowest copy is behind; 0 on a single server.", "short",
                  {"{{target}} {{db}}": "topk(12, neo4j_db_replication_lag_transactions{SEL,NEO_DB})"}, above(10_000, 100_000)).wide(12),
            timeline("Read-only", "Which databases took no writes, when.", {"{{target}} {{db}}": "max by (target, db) (neo4j_db_read_only{SEL,NEO_DB})"},
                     {0: ("takes writes", "green"), 1: ("read-only", "orange")}).wide(12).high(9),
            grid("Settings in bytes", "Settings that are sizes, as configured; 0 is no limit.", [
                Column("Target", label="target"), Column("Setting", label="setting", width=320),
                Column("Value", "max by (target, setting) (neo4j_setting_bytes{SEL})", "bytes"),
            ], by="target, setting", every="1m").wide(12),
            grid("Settings in seconds", "Settings that are durations, as configured; 0 is no limit.", [
                Column("Target", label="target"), Column("Setting", label="setting", width=320),
                Column("Value", "max by (target, setting) (neo4j_setting_seconds{SEL})", "s"),
            ], by="target, setting", every="1m").wide(12),
        ], collapsed=True),
    ],
    stores="neo4j",
    variables=[("db", "Database", "label_values(neo4j_db_default{SEL}, db)")],
)  # fmt: skip
