"""PostgreSQL, and PgBouncer before it: healthy, then the causes, then what to look up."""

from dashboards.kit import Page, Row
from dashboards.panels import bars, graph, single, timeline
from dashboards.style import GOOD, STATES, above, below, limit
from dashboards.tables import Column, grid

_TABLE = "sum by (target, datname, schemaname, relname)"

HEALTHY = Row("Healthy?", [
    single("State", "The state that /health shows.", "short", 'max by (target) (datatier_target_state{SEL,store=~"postgres|pgbouncer"})', words=STATES),
    single("Connections used", "Connections in use of those that are not reserved. Red: new logins will soon be refused.",
           "percentunit", "max by (target) (pg_connections_used_ratio{SEL})", limit("connections_used_ratio")),
    single("Cache hit", "Block requests of the last 5 minutes that shared buffers answered. Red: the working set outgrew memory, or one query reads too much.",
           "percentunit", "sum by (target) (rate(pg_stat_database_blks_hit{SEL,DB}[5m])) / (sum by (target) (rate(pg_stat_database_blks_hit{SEL,DB}[5m]))"
           " + sum by (target) (rate(pg_stat_database_blks_read{SEL,DB}[5m])))", below(0.99, 0.95)),
    single("Replication lag", "How far a replica is behind, or on a primary the replica that is furthest behind, one that left its slot included.",
           "s", "max by (target) (pg_replication_worst_lag_seconds{SEL})", limit("replication_lag_seconds")),
    single("Blocked sessions", "Sessions that wait for a lock which others hold.", "short",
           "max by (target) (pg_blocked_sessions{SEL})", above(1, 10)),
    single("Oldest transaction", "Age of the oldest open transaction: it keeps vacuum from removing what died since.", "s",
           "max by (target) (pg_stat_activity_max_tx_duration{SEL})", above(300, 3600)),
    single("Archive wait", "For how long the oldest transaction has been in no archived file: what a disaster would cost.", "s",
           "max by (target) (pg_archiver_unarchived_seconds{SEL} or on (target) pg_archiver_oldest_ready_seconds{SEL})",
           limit("unarchived_seconds"), every="1m"),
    single("Wraparound", "Used share of the transaction ids after which the server takes no more writes.", "percentunit",
           "max by (target) (pg_wraparound_ratio{SEL})", limit("wraparound_ratio"), every="1m"),
])  # fmt: skip

LOAD = Row("Load and latency", [
    graph("Transactions", "Commits and rollbacks: did the traffic change?", "ops",
          {"{{target}} commit": "sum by (target) (rate(pg_stat_database_xact_commit{SEL,DB}[$__rate_interval]))",
           "{{target}} rollback": "sum by (target) (rate(pg_stat_database_xact_rollback{SEL,DB}[$__rate_interval]))"}),
    graph("Rollback share", "Rollbacks of all transactions. High after a deploy: errors, deadlocks, broken constraints.", "percentunit",
          {"{{target}} {{datname}}": "topk(12, rate(pg_stat_database_xact_rollback{SEL,DB}[5m])"
           " / (rate(pg_stat_database_xact_commit{SEL,DB}[5m]) + rate(pg_stat_database_xact_rollback{SEL,DB}[5m]) > 0))"}, above(0.1)),
    graph("Mean statement time", "The exact mean of all statements; PostgreSQL keeps no percentiles.", "s",
          {"{{target}} {{datname}}": "topk(12, sum by (target, datname) (rate(pg_statements_seconds_total{SEL,DB}[5m]))"
           " / sum by (target, datname) (rate(pg_statements_calls_total{SEL,DB}[5m])))"}, above(0.1, 1), every="30s"),
    grid("Slow statements by total time", "What the server spends its time on: texts by queryid in pg_stat_statements, or at /findings with statement_texts.", [
        Column("Target", label="target", width=120), Column("Database", label="datname", width=90), Column("User", label="user", width=90), Column("Query id", label="queryid"),
        Column("Of a core", "topk(15, sum by (target, datname, user, queryid) (rate(pg_stat_statements_seconds_total{SEL,DB}[5m])))", "percentunit", above(0.5, 1), width=100),
        Column("Calls", "sum by (target, datname, user, queryid) (rate(pg_stat_statements_calls_total{SEL,DB}[5m]))"
               " and topk(15, sum by (target, datname, user, queryid) (rate(pg_stat_statements_seconds_total{SEL,DB}[5m])))", "ops", width=100),
        Column("Mean", "topk(15, sum by (target, datname, user, queryid) (rate(pg_stat_statements_seconds_total{SEL,DB}[5m])))"
               " / (sum by (target, datname, user, queryid) (rate(pg_stat_statements_calls_total{SEL,DB}[5m])) > 0)", "s", above(0.1, 1), width=80),
    ], by="target, datname, user, queryid", worst="Of a core", every="30s").wide(12),
    grid("Slow statements by mean time", "The slowest of the last 5 minutes by their mean, however seldom they run.", [
        Column("Target", label="target", width=120), Column("Database", label="datname", width=90), Column("User", label="user", width=90), Column("Query id", label="queryid"),
        Column("Mean", "topk(15, max by (target, datname, user, queryid) (pg_slow_statements_mean_seconds{SEL,DB}))", "s", above(0.1, 1), width=90),
        Column("Calls in 5 min", "max by (target, datname, user, queryid) (pg_slow_statements_calls{SEL,DB})"
               " and topk(15, max by (target, datname, user, queryid) (pg_slow_statements_mean_seconds{SEL,DB}))", width=110),
    ], by="target, datname, user, queryid", worst="Mean", every="1m").wide(12),
    graph("Slow statements", "Statements whose mean over 5 minutes is above the threshold.", "short",
          {"{{target}} {{datname}} over {{threshold}} s": "topk(12, pg_statements_slow{SEL,DB})"}, every="1m"),
    graph("Time to log in", "Mean time to log in anew and be answered once: slow logins are a full pool, DNS, or a busy server.", "s",
          {"{{target}}": "rate(pg_connect_seconds_sum{SEL}[5m]) / rate(pg_connect_seconds_count{SEL}[5m])"}, above(0.1, 1), every="1m"),
    graph("Queries seen to run long", "With sample_activity: queries of the last 5 minutes that ran longer than the threshold, each second looked at.", "short",
          {"{{target}} {{datname}} over {{threshold}} s": "topk(12, increase(pg_query_ran_longer_than_total{SEL,DB}[5m]))"}),
])  # fmt: skip

SATURATION = Row("Sessions", [
    graph("Sessions by state", "What the sessions do. Idle in transaction holds locks and dead rows.", "short",
          {"{{target}} {{state}}": "sum by (target, state) (pg_stat_activity_count{SEL,DB})"}, stacked=True),
    graph("What active sessions wait for", "Running waits for nothing PostgreSQL knows of: that is CPU.", "short",
          {"{{target}} {{type}}": "topk(12, sum by (target, type) (pg_wait_events{SEL}))"}, stacked=True, every="1m"),
    graph("Connections of the roles near their limit", "Used share of what a role may have; roles without a limit are not shown.", "percentunit",
          {"{{target}} {{rolname}}": "topk(12, pg_role_connections_used_ratio{SEL}) or on (target) 0 * max by (target) (pg_connections_used_ratio{SEL})"},
          limit("connections_used_ratio"), every="1m"),
    graph("Idle in transaction", "Longest time that a session has been idle inside its transaction: the application forgot to commit.", "s",
          {"{{target}} {{datname}}": "topk(12, pg_idle_in_transaction_max_seconds{SEL,DB})"}, limit("transaction_age_seconds"), every="1m"),
    graph("Idle sessions", "Sessions idle for at least so many seconds: a pool that is too large, or leaks.", "short",
          {"{{target}} {{datname}} ≥ {{threshold}} s": "topk(12, pg_idle_sessions{SEL,DB} > 0) or on (target) 0 * max by (target) (pg_connections_used_ratio{SEL})"}, every="1m"),
    graph("Sessions that ended badly", "In 5 minutes, by a lost connection, a fatal error, or an operator.", "short",
          {"{{target}} lost": "sum by (target) (increase(pg_stat_database_sessions_abandoned_total{SEL,DB}[5m]))",
           "{{target}} fatal": "sum by (target) (increase(pg_stat_database_sessions_fatal_total{SEL,DB}[5m]))",
           "{{target}} killed": "sum by (target) (increase(pg_stat_database_sessions_killed_total{SEL,DB}[5m]))"}),
])  # fmt: skip

LOCKS = Row("Locks and errors", [
    graph("Blocked sessions", "Sessions that wait, and the most that a single one holds up. /findings names them.", "short",
          {"{{target}} blocked": "pg_blocked_sessions{SEL}", "{{target}} held up by one": "pg_blocking_max_victims{SEL}",
           "{{target}} chain": "pg_blocking_chain_depth{SEL}"}, above(1, 10)),
    graph("Longest wait for a lock", "How long the session at the end of the queue has waited.", "s",
          {"{{target}}": "pg_blocked_max_seconds{SEL}"}, limit("blocked_seconds")),
    graph("Who blocks", "Sessions that hold others up and wait for nobody, by what they do.", "short",
          {"{{target}} {{state}}": "pg_blocking_roots{SEL}"}, stacked=True),
    graph("Lock waits by mode", "Locks waited for; AccessExclusiveLock is a DDL that waits, and all behind it.", "short",
          {"{{target}} {{mode}}": "topk(12, sum by (target, mode) (pg_locks_waiting{SEL,DB}))"}, stacked=True),
    graph("Deadlocks and conflicts", "Deadlocks, and queries that replay cancelled on a replica.", "short",
          {"{{target}} deadlocks": "sum by (target) (increase(pg_stat_database_deadlocks{SEL,DB}[5m]))",
           "{{target}} conflicts": "sum by (target) (increase(pg_stat_database_conflicts{SEL,DB}[5m]))"}, above(warn=1)),
    graph("Errors as far as the server counts them", "Fatal ends of sessions, broken pages, failed logins, failed archiving.", "short",
          {"{{target}} fatal": "sum by (target) (increase(pg_stat_database_sessions_fatal_total{SEL,DB}[5m]))",
           "{{target}} archive": "increase(pg_stat_archiver_failed_count{SEL}[5m])",
           "{{target}} login": "1 - pg_login_success{SEL}"}, above(warn=1), every="1m"),
])  # fmt: skip

CACHE = Row("Cache and I/O", [
    graph("Cache hit by database", "Block requests since the last poll that shared buffers answered.", "percentunit",
          {"{{target}} {{datname}}": "bottomk(12, pg_cache_hit_ratio{SEL,DB})"}, below(0.99, 0.95)),
    graph("Index hit by database", "The same for indexes alone: below it, indexes do not fit in memory.", "percentunit",
          {"{{target}} {{datname}}": "bottomk(12, pg_index_hit_ratio{SEL,DB})"}, below(0.99, 0.95), every="1m"),
    graph("Reads and writes", "Bytes by direction, from PostgreSQL 16 on.", "Bps",
          {"{{target}} read": "sum by (target) (rate(pg_stat_io_read_bytes_total{SEL}[5m]))",
           "{{target}} write": "sum by (target) (rate(pg_stat_io_write_bytes_total{SEL}[5m]))",
           "{{target}} extend": "sum by (target) (rate(pg_stat_io_extend_bytes_total{SEL}[5m]))"}, every="1m"),
    graph("Temporary files", "Bytes that sorts and hashes spilled to disk: work_mem is too small for them.", "Bps",
          {"{{target}} {{datname}}": "topk(12, rate(pg_stat_database_temp_bytes{SEL,DB}[5m]))"}),
    graph("Checkpoints", "Forced by much write-ahead log, or begun in time. Many forced ones: max_wal_size is too small.", "short",
          {"{{target}} forced": "increase(pg_stat_bgwriter_checkpoints_req_total{SEL}[30m])",
           "{{target}} in time": "increase(pg_stat_bgwriter_checkpoints_timed_total{SEL}[30m])"}, every="1m"),
    graph("Shared buffers", "What is in them; unused ones are memory to spare.", "short",
          {"{{target}} used": "pg_buffercache_summary_buffers_used{SEL}", "{{target}} unused": "pg_buffercache_summary_buffers_unused{SEL}",
           "{{target}} dirty": "pg_buffercache_summary_buffers_dirty{SEL}"}, every="1m"),
])  # fmt: skip

REPLICATION = Row("Replication and write-ahead log", [
    timeline("Role", "Who was primary and who replica, when.", {"{{target}}": "max by (target) (pg_replication_is_replica{SEL})"},
             {0: ("primary", "blue"), 1: ("replica", "purple")}).wide(12).high(5),
    timeline("Receiver", "Whether a replica streams from its upstream server.", {"{{target}}": "max by (target) (pg_wal_receiver_up{SEL})"}, GOOD).wide(12).high(5),
    graph("Lag", "A replica's own, as it reckons it; on a primary that of the replica furthest behind, one that left its slot included.", "s",
          {"{{target}}": "pg_replication_worst_lag_seconds{SEL}"}, limit("replication_lag_seconds")),
    graph("Lag of each standby", "Log that the standby has not replayed yet, as the primary sees it.", "bytes",
          {"{{target}} {{application_name}} {{client_addr}}": "topk(12, pg_stat_replication_pg_wal_lsn_diff{SEL})"}, limit("replication_lag_bytes")),
    graph("Synchronous standbys", "Missing ones make every commit hang.", "short",
          {"{{target}} required": "pg_sync_standbys_required{SEL}", "{{target}} connected": "pg_sync_standbys_connected{SEL}",
           "{{target}} missing": "pg_sync_standbys_missing{SEL}"}),
    graph("Slots", "Log that the server keeps for a slot. A slot nobody reads fills the disk.", "bytes",
          {"{{target}} {{slot_name}}": "topk(12, pg_replication_slots_pg_wal_lsn_diff{SEL}) or on (target) 0 * max by (target) (pg_replication_slots_used{SEL})"},
          limit("slot_retained_bytes"), every="1m"),
    graph("Write-ahead log", "How fast log is written, or replayed on a replica.", "Bps", {"{{target}}": "rate(pg_wal_lsn_bytes{SEL}[5m])"}, every="1m"),
    graph("Waits to be archived", "Files that wait; it also grows while the archive command hangs.", "short",
          {"{{target}}": "pg_archiver_ready_files{SEL}"}, every="1m"),
])  # fmt: skip

MAINTENANCE = Row("Maintenance", [
    grid("Dead rows", "Tables with the most dead rows: autovacuum is held up by an old transaction, or too timid.", [
        Column("Target", label="target", width=90), Column("Database", label="datname", width=90), Column("Schema", label="schemaname", width=90), Column("Table", label="relname"),
        Column("Dead rows", f"topk(15, {_TABLE} (pg_stat_user_tables_n_dead_tup{{SEL,DB}}))", width=110),
        Column("Share", f"topk(15, {_TABLE} (pg_stat_user_tables_n_dead_tup{{SEL,DB}})) / on (target, datname, schemaname, relname)"
               f" ({_TABLE} (pg_stat_user_tables_n_dead_tup{{SEL,DB}} + pg_stat_user_tables_n_live_tup{{SEL,DB}}) > 0)", "percentunit", above(0.2, 0.5), width=75),
        Column("Last autovacuum", f"1000 * ({_TABLE} (pg_stat_user_tables_last_autovacuum{{SEL,DB}}) > 0)"
               f" and topk(15, {_TABLE} (pg_stat_user_tables_n_dead_tup{{SEL,DB}}))", "dateTimeFromNow", width=150),
    ], by="target, datname, schemaname, relname", worst="Dead rows", every="1m").wide(12),
    grid("Bloat", "Free space and dead rows of the largest tables, measured once an hour; needs pgstattuple.", [
        Column("Target", label="target", width=90), Column("Database", label="datname", width=90), Column("Schema", label="schemaname", width=90), Column("Table", label="relname"),
        Column("Bloat", f"topk(15, {_TABLE} (pg_table_bloat_bytes{{SEL,DB}}))", "bytes", width=100),
        Column("Share", f"{_TABLE} (pg_table_bloat_ratio{{SEL,DB}}) and topk(15, {_TABLE} (pg_table_bloat_bytes{{SEL,DB}}))", "percentunit", above(0.3, 0.5), width=75),
    ], by="target, datname, schemaname, relname", worst="Bloat", every="1m").wide(12),
    graph("Freezing", "Age of the oldest id by the age at which autovacuum must freeze it: well above 1 it does not get through.", "percentunit",
          {"{{target}}": "pg_wraparound_freeze_ratio{SEL}"}, above(1.2, 1.8), every="1m"),
    graph("Who keeps dead rows", "Transactions begun since the oldest that each kind of holder still sees.", "short",
          {"{{target}} {{holder}}": "topk(12, pg_oldest_xmin_age{SEL})"}, every="1m"),
    graph("Work in progress", "Share done of the phase that vacuums, index builds and copies are in.", "percentunit",
          {"{{target}} {{command}} {{relname}} {{phase}}": "topk(12, pg_progress_done_ratio{SEL,DB}) or on (target) 0 * max by (target) (pg_replication_is_replica{SEL})"}, every="1m"),
    graph("Indexes to look at", "Indexes without use, twice there, covered by another, or broken. /findings names them.", "short",
          {"{{target}} unused": "sum by (target) (pg_indexes_unused{SEL,DB})", "{{target}} duplicate": "sum by (target) (pg_indexes_duplicate{SEL,DB})",
           "{{target}} redundant": "sum by (target) (pg_indexes_redundant{SEL,DB})", "{{target}} invalid": "sum by (target) (pg_indexes_invalid{SEL,DB})"}, every="1m").wide(6),
    bars("Sequences near their end", "Used share of the values that the sequence and its column can hold.", "percentunit",
         "topk(12, pg_sequence_used_ratio{SEL,DB})", limit("sequence_used_ratio"), "{{target}} {{datname}} {{schemaname}}.{{sequencename}}", every="1m", most=1).wide(12),
    graph("Schema findings", "Foreign keys without an index, tables without a primary key, constraints never checked.", "short",
          {"{{target}} keys without index": "sum by (target) (pg_foreign_keys_without_index{SEL,DB})",
           "{{target}} no primary key": "sum by (target) (pg_tables_without_primary_key{SEL,DB})",
           "{{target}} not validated": "sum by (target) (pg_constraints_not_validated{SEL,DB})"}, every="1m").wide(6),
])  # fmt: skip

PARTITIONS = Row("Partitions and materialized views", [
    grid("Partitions", "How far ahead there are partitions, and where the oldest begins: does creation run, does retention?", [
        Column("Target", label="target", width=90), Column("Database", label="datname", width=85), Column("Schema", label="schemaname", width=80), Column("Table", label="relname"),
        Column("Partitions", f"{_TABLE} (pg_partitions{{SEL,DB}})", width=85),
        Column("Headroom", f"{_TABLE} (pg_partition_headroom_seconds{{SEL,DB}} < +Inf)", "s", below(604800, 86400), width=105),
        Column("Oldest begins", f"1000 * {_TABLE} (pg_partition_oldest_bound_timestamp_seconds{{SEL,DB}})", "dateTimeFromNow", width=115),
        Column("In the default", f"{_TABLE} (pg_partition_default_rows{{SEL,DB}})", "short", above(warn=1), width=115),
    ], by="target, datname, schemaname, relname", worst="Headroom", first="lowest", every="1m").wide(13),
    grid("Materialized views", "Whether they can be read, when they last changed, and whether they can be refreshed without blocking readers.", [
        Column("Target", label="target", width=80), Column("Database", label="datname", width=85), Column("Schema", label="schemaname", width=80), Column("View", label="matviewname"),
        Column("Populated", "max by (target, datname, schemaname, matviewname) (pg_matview_populated{SEL,DB})", words=GOOD, width=105),
        Column("Unique index", "max by (target, datname, schemaname, matviewname) (pg_matview_unique_index{SEL,DB})", words={0: ("no", "orange"), 1: ("yes", "green")}, width=105),
        Column("Size", "max by (target, datname, schemaname, matviewname) (pg_matview_size_bytes{SEL,DB})", "bytes", width=85),
    ], by="target, datname, schemaname, matviewname", worst="Populated", first="lowest", every="1m").wide(11),
])  # fmt: skip

SIZE = Row("Size and settings", [
    graph("Database size", "Disk space of each database.", "bytes", {"{{target}} {{datname}}": "topk(12, pg_database_size_bytes{SEL,DB})"}, every="1m"),
    graph("Growth a day", "What a day would add at the speed of the last six hours.", "bytes",
          {"{{target}} {{datname}}": "topk(12, 86400 * deriv(pg_database_size_bytes{SEL,DB}[6h]))"}, every="1m"),
    graph("Disk", "Used share of the target's disk_size, where it is configured.", "percentunit",
          {"{{target}}": "pg_disk_used_bytes{SEL} / pg_disk_size_bytes{SEL}"}, limit("disk_used_ratio"), every="1m"),
    grid("Not as expected", "What `expect` in the configuration asks for and the server does not have. /findings names it.", [
        Column("Target", label="target"),
        Column("Settings", "max by (target) (pg_expected_settings_broken{SEL})", steps=above(fail=1)),
        Column("Extensions", "max by (target) (pg_expected_extensions_broken{SEL})", steps=above(fail=1)),
        Column("Tables", "max by (target) (pg_expected_tables_broken{SEL})", steps=above(fail=1)),
        Column("Indexes", "max by (target) (pg_expected_indexes_broken{SEL})", steps=above(fail=1)),
        Column("Partitions", "max by (target) (pg_expected_partitioned_tables_broken{SEL})", steps=above(fail=1)),
        Column("Replicas", "max by (target) (pg_expected_replicas_broken{SEL})", steps=above(fail=1)),
        Column("Role", "max by (target) (pg_expected_role_broken{SEL})", steps=above(fail=1)),
    ], by="target", every="1m").high(6),
    grid("Settings", "The settings that matter first, side by side.", [
        Column("Target", label="target"),
        Column("max_connections", "max by (target) (pg_settings_max_connections{SEL})"),
        Column("shared_buffers", "max by (target) (pg_settings_shared_buffers_bytes{SEL})", "bytes"),
        Column("work_mem", "max by (target) (pg_settings_work_mem_bytes{SEL})", "bytes"),
        Column("max_wal_size", "max by (target) (pg_settings_max_wal_size_bytes{SEL})", "bytes"),
        Column("maintenance_work_mem", "max by (target) (pg_settings_maintenance_work_mem_bytes{SEL})", "bytes"),
        Column("checkpoint_timeout", "max by (target) (pg_settings_checkpoint_timeout_seconds{SEL})", "s"),
    ], by="target", every="1m").high(6),
], collapsed=True)  # fmt: skip

PGBOUNCER = Row("PgBouncer", [
    graph("Waiting clients", "Clients that have sent a query and wait for a server connection: the pool is too small, or its servers are slow.", "short",
          {"{{target}} {{database}}": "topk(12, sum by (target, database) (pgbouncer_pools_client_waiting_connections_peak{SEL}))"}, above(1, 10)),
    graph("Longest wait", "How long the first client in the queue has been waiting.", "s",
          {"{{target}} {{database}}": "topk(12, max by (target, database) (pgbouncer_pools_client_maxwait_peak_seconds{SEL}))"}, limit("pool_wait_seconds")),
    graph("Pools", "Busy share of each pool; above 1 its reserve is in use.", "percentunit",
          {"{{target}} {{database}} {{user}}": "topk(12, pgbouncer_pools_used_ratio{SEL})"}, above(0.8, 1)),
    graph("Clients", "Share of max_client_conn; above it clients are refused.", "percentunit",
          {"{{target}}": "pgbouncer_clients_used_ratio{SEL}"}, limit("connections_used_ratio")),
    graph("Statements", "Statements a second through the pools.", "ops",
          {"{{target}} {{database}}": "topk(12, rate(pgbouncer_stats_queries_pooled_total{SEL}[$__rate_interval]))"}),
    graph("Mean time of pooled statements", "Time on the servers by statement.", "s",
          {"{{target}} {{database}}": "topk(12, rate(pgbouncer_stats_queries_duration_seconds_total{SEL}[5m]) / (rate(pgbouncer_stats_queries_pooled_total{SEL}[5m]) > 0))"},
          above(0.1, 1)),
], collapsed=True)  # fmt: skip

POSTGRES = Page(
    "postgres",
    "Data tier / PostgreSQL",
    "PostgreSQL servers and PgBouncers: are they healthy, and why not.",
    [HEALTHY, LOAD, SATURATION, LOCKS, CACHE, REPLICATION, MAINTENANCE, PARTITIONS, SIZE, PGBOUNCER],
    stores="postgres|pgbouncer",
    variables=[("datname", "Database", "label_values(pg_database_size_bytes{SEL}, datname)")],
)
