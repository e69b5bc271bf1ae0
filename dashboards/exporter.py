"""Can I trust the numbers, and what do they cost."""

from dashboards.kit import Page, Row
from dashboards.panels import bars, graph, latency, single, timeline
from dashboards.style import DAYS, GOOD, above, below
from dashboards.tables import Column, grid

EXPORTER = Page(
    "exporter",
    "Data tier / Exporter",
    "Can the numbers be trusted, what fails to be asked, and what does watching cost.",
    [
        Row("Can I trust the numbers?", [
            single("Exporter", "Whether Prometheus reached the exporter at its last scrape.", "short",
                   "min by (instance) (up{JOB})", words={0: ("unreachable", "red"), 1: ("reached", "green")}, legend="{{instance}}"),
            single("Rules loaded", "Whether this Prometheus evaluates our alert rules: their watchdog always fires.", "short",
                   'count(ALERTS{alertname="DataTierWatchdog"}) > bool 0 or 0 * count(up{JOB})', words=GOOD, legend="rules"),
            single("Oldest data", "Time since the last good poll of the target that has waited longest.", "s",
                   "max(time() - datatier_poll_last_success_timestamp_seconds{SEL})", above(60, 300), legend="age"),
            single("Failing queries", "Queries whose last run gave no samples.", "short",
                   "count(datatier_query_success{SEL} == 0) or 0 * count(datatier_up{SEL})", above(warn=1), legend="queries"),
            single("Missing privileges", "What the monitoring users may not see: silence is not health.", "short",
                   "sum(datatier_privilege_missing{SEL}) or 0 * count(datatier_up{SEL})", above(warn=1), legend="privileges"),
            single("Series dropped", "Series that were not served in the last hour because their query broke a rule.", "short",
                   "sum(increase(datatier_series_dropped_total{SEL}[1h]))", above(warn=1), legend="series"),
            single("Configuration", "Whether the last reload of the configuration was taken.", "short",
                   "min(datatier_config_last_reload_successful{JOB})", words={0: ("refused", "red"), 1: ("taken", "green")}, legend="taken"),
            single("Event loop lag", "How late the event loop last woke; above a second every page is slow.", "s",
                   "max(datatier_event_loop_lag_seconds{JOB})", above(0.1, 1), legend="lag"),
        ]),
        Row("Polls", [
            graph("Duration of a poll", "Ping and due queries of the fast lane. It must stay below the interval.", "s",
                  {"{{target}}": "topk(12, datatier_poll_duration_seconds{SEL})"}),
            graph("Age of the data", "Time since the last good poll; a saw-tooth up to the interval is normal.", "s",
                  {"{{target}}": "topk(12, time() - datatier_poll_last_success_timestamp_seconds{SEL})"}, above(60, 300)),
            graph("Polls that failed or were left out", "Failed: the ping had no good answer. Left out: the one before still ran.", "short",
                  {"{{target}} failed": "sum by (target) (increase(datatier_poll_failures_total{SEL}[$__rate_interval]))",
                   "{{target}} left out": "increase(datatier_polls_skipped_total{SEL}[$__rate_interval])"}, above(warn=1)),
            latency("Round trip of the pings", "How the pings of the targets chosen are spread; a second band is a second network path, or a lock.",
                    "s", "sum by (le) (increase(datatier_probe_seconds_bucket{SEL}[$__rate_interval]))").wide(12),
            bars("Dearest queries", "Duration of the last run, the longest first.", "s",
                 "topk(12, datatier_query_duration_seconds{SEL})", above(1, 5), "{{target}} {{query}}").wide(12),
        ]),
        Row("Queries", [
            grid("Queries", "Every query file with its last run, built-in or your own; red: it failed, /health says why.", [
                Column("Target", label="target"), Column("Store", label="store", width=95), Column("Query", label="query", width=205),
                Column("Success", "min by (store, target, query) (datatier_query_success{SEL})", words=GOOD, width=95),
                Column("Duration", "max by (store, target, query) (datatier_query_duration_seconds{SEL})", "s", above(1, 5), width=90),
                Column("Every", "max by (store, target, query) (datatier_query_period_seconds{SEL})", "s", width=90),
                Column("Series", "max by (store, target, query) (datatier_query_series{SEL})", width=75),
                Column("Last success", "1000 * max by (store, target, query) (datatier_query_last_success_timestamp_seconds{SEL})", "dateTimeFromNow", width=150),
            ], by="store, target, query", worst="Success", first="lowest").wide(14).high(10),
            grid("What a server does not offer", "Queries and capabilities that are not there, with the reason.", [
                Column("Target", label="target", width=100), Column("Capability", label="capability", width=145), Column("Reason", label="reason", wraps=True),
                Column("There", "max by (target, capability, reason) (datatier_capability_info{SEL} == 0)", hidden=True),
            ], by="target, capability, reason").wide(10).high(10),
        ]),
        Row("What it costs", [
            graph("CPU", "Processor time of the exporter.", "percentunit",
                  {"{{instance}}": "rate(process_cpu_seconds_total{JOB}[$__rate_interval])"}, above(0.5, 0.9)),
            graph("Memory", "Resident memory of the exporter.", "bytes", {"{{instance}}": "process_resident_memory_bytes{JOB}"}),
            graph("Descriptors and tasks", "Both are flat when nothing leaks.", "short",
                  {"{{instance}} descriptors": "process_open_fds{JOB}", "{{instance}} tasks": "datatier_tasks{JOB}"}),
            graph("Page", "Size of the page before compression.", "bytes", {"{{instance}}": "datatier_scrape_page_bytes{JOB}"}),
            graph("Series", "Series of the targets on the page.", "short", {"{{instance}}": "datatier_scrape_page_series{JOB}"}),
            bars("Series by target", "Which target has the most.", "short",
                 "topk(15, sum by (target) (datatier_query_series{SEL}))", above(50_000, 100_000), "{{target}}"),
        ]),
        Row("Breakers and certificates", [
            timeline("Breaker", "After three failed polls a target is only pinged, until one succeeds.",
                     {"{{target}}": "max by (target) (datatier_breaker_open{SEL})"}, {0: ("closed", "green"), 1: ("open", "orange")}).wide(12).high(9),
            bars("Certificates", "Days until the certificates expire, those of the stores and the exporter's own.", DAYS,
                 "sort((datatier_tls_not_after_timestamp_seconds{SEL} - time()) / 86400)", below(14, 3), "{{target}}").wide(12),
        ], collapsed=True),
    ],
)  # fmt: skip
