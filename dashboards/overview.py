"""Is the data tier OK, what changed, where do I look."""

from dashboards.kit import Page, Row
from dashboards.panels import bars, graph, single, timeline
from dashboards.style import CHECKS, SEVERITIES, STATES, above, limit
from dashboards.tables import Column, grid
from exporter.config.stores import STORES

OPEN = "/d/datatier-${__data.fields.page}?var-target=${__data.fields.Target}&var-datasource=${datasource}&${__url_time_range}"
# Each series gets the label `page`: its store's name, or the dashboard that the store shares.
PAGES = 'label_replace(%s, "page", "$1", "store", "(.*)")'
for store in STORES.values():
    if store.dashboard != store.name:
        PAGES = f'label_replace({PAGES}, "page", "{store.dashboard or "overview"}", "store", "{store.name}")'
BACKUPS = "/d/datatier-backups?var-target=${__data.fields.Target}&var-datasource=${datasource}&${__url_time_range}"
# The worst check among the sets of backups of each target, wherever they lie.
BACKED_UP = (
    "max by (store, target) (0 * datatier_up{SEL} + on (target) group_left () label_replace("
    "max by (of) (datatier_backup_expected{JOB} * on (job, instance, target, check) group_left () datatier_check_state{JOB})"
    ', "target", "$1", "of", "(.*)"))'
)

OVERVIEW = Page(
    "overview",
    "Data tier / Overview",
    "Is the data tier healthy, what changed, and where to look next.",
    [
        Row("Verdict", [
            single("Verdict", "The worst state of the targets chosen, as /health sees it; those in maintenance are left out.",
                   "short", "max(datatier_target_state{SEL} unless on (job, instance, target) datatier_target_maintenance{SEL} == 1)",
                   words=STATES, legend="state").wide(4),
            single("Targets down", "Targets whose state is down; those in maintenance are left out. Red: somebody cannot work.",
                   "short", "count(datatier_target_state{SEL} == 3 unless on (job, instance, target) datatier_target_maintenance{SEL} == 1)"
                   " or 0 * count(datatier_target_state{SEL})", above(fail=1), legend="down").wide(4),
            single("Pages firing", "Critical alerts that fire now.", "short",
                   'count(ALERTS{FIRING,severity="critical"}) or 0 * count(datatier_up{SEL})',
                   above(fail=1), legend="pages"),
            single("Tickets firing", "Warnings that fire now.", "short",
                   'count(ALERTS{FIRING,severity="warning"}) or 0 * count(datatier_up{SEL})',
                   above(warn=1), legend="tickets"),
            single("Worst availability", "Share of the last 30 days that the worst of the required targets was up. 99.9 % leaves 43 minutes.",
                   "percentunit", "min(avg_over_time(datatier_up{SEL}[30d]) and on (job, instance, target) datatier_target_required{SEL} == 1)",
                   ((None, "red"), (0.999, "green")), legend="up").wide(4),
            single("Oldest data", "Time since the last good poll of the target that has waited longest. Red: do not believe its numbers.",
                   "s", "max(time() - datatier_poll_last_success_timestamp_seconds{SEL})", above(60, 300), legend="age"),
            single("In maintenance", "Targets that are in maintenance: shown, measured, and left out of the verdict and of alerts.",
                   "short", "sum(datatier_target_maintenance{SEL})", legend="in maintenance"),
        ]),
        Row("Where", [
            grid("Targets", "One row for each target, the worst first. The name opens its store's page.", [
                Column("Target", label="target", link=OPEN, width=200),
                Column("Store", label="store", width=100),
                Column("page", label="page", hidden=True),
                Column("State", PAGES % "max by (store, target) (datatier_target_state{SEL})", words=STATES, width=100),
                Column("Round trip", PAGES % "max by (store, target) (rate(datatier_probe_seconds_sum{SEL}[5m]) / rate(datatier_probe_seconds_count{SEL}[5m]))",
                       "s", limit("response_seconds")),
                Column("Worst saturation", PAGES % "max by (store, target) (datatier_saturation_ratio{SEL})", "percentunit", limit("disk_used_ratio")),
                Column("Checks warning", PAGES % "sum by (store, target) (datatier_check_state{SEL} == bool 2)", "short", above(warn=1)),
                Column("Checks failing", PAGES % "sum by (store, target) (datatier_check_state{SEL} == bool 3)", "short", above(fail=1)),
                Column("Backups", PAGES % BACKED_UP, words=CHECKS, link=BACKUPS, width=90),
                Column("Failing queries", PAGES % "sum by (store, target) (datatier_query_success{SEL} == bool 0)", "short", above(warn=1)),
                Column("Data age", PAGES % "max by (store, target) (time() - datatier_poll_last_success_timestamp_seconds{SEL})", "s", above(60, 300)),
                Column("Running for", PAGES % "max by (store, target) (time() - datatier_target_start_time_seconds{SEL})", "s"),
            ], by="store, target, page", worst="State").high(9),
            timeline("State history", "Which targets were ill, when, alone or together.",
                     {"{{target}}": "max by (target) (datatier_target_state{SEL})"}, STATES,
                     link="/d/datatier-overview?var-target=${__field.labels.target}&var-datasource=${datasource}&${__url_time_range}"),
        ]),
        Row("What is wrong", [
            grid("Firing alerts", "What fires now, and since when. The name opens its runbook.", [
                Column("Alert", label="alertname", link="${runbooks}/${__value.raw}.md"),
                Column("Severity", label="severity", words=SEVERITIES, width=90),
                Column("Target", label="target"),
                Column("Since", 'max by (alertname, severity, target) (1000 * ALERTS_FOR_STATE{component="data-tier"}'
                       ' and on (alertname, severity, target) ALERTS{FIRING,severity=~"critical|warning"})', "dateTimeFromNow", width=140),
            ], by="alertname, severity, target", worst="Severity", first="lowest").wide(12).high(9),
            grid("Checks that are not well", "Every check of /health that warns or fails, built-in or your own.", [
                Column("Target", label="target", width=150), Column("Store", label="store", width=110), Column("Check", label="check"),
                Column("State", "max by (store, target, check) (datatier_check_state{SEL} > 1)", words={2: ("warn", "orange"), 3: ("fail", "red")}, width=120),
            ], by="store, target, check", worst="State").wide(12).high(9),
        ]),
        Row("Golden signals", [
            graph("Round trip of the ping", "How long one authenticated request takes. Compare with the store's own latency: network or store?",
                  "s", {"{{target}}": "topk(12, rate(datatier_probe_seconds_sum{SEL}[$__rate_interval]) / rate(datatier_probe_seconds_count{SEL}[$__rate_interval]))"},
                  limit("response_seconds")),
            bars("Nearest to full", "What is used the most of what is limited: connections, disk, heap, memory.", "percentunit",
                 "topk(10, max by (target, resource) (datatier_saturation_ratio{SEL}))", limit("disk_used_ratio"),
                 "{{target}} {{resource}}", most=1),
            graph("Failed polls", "Polls whose ping failed, by reason.", "short",
                  {"{{target}} {{reason}}": "topk(12, sum by (target, reason) (increase(datatier_poll_failures_total{SEL}[$__rate_interval])) > 0)"
                   " or on (target) 0 * max by (target) (datatier_up{SEL})"}, above(warn=1)),
        ]),
        Row("What there is", [
            grid("Versions and roles", "What each server is now, and how often it was restarted in the time shown; a change of either is an annotation in the graphs.", [
                Column("Target", label="target", width=150), Column("Store", label="store", width=100), Column("Version", label="version"),
                Column("Role", label="role", width=110), Column("Edition", label="edition", width=110),
                Column("Restarts", "max by (store, target, version, role, edition) (datatier_target_info{SEL}"
                       " * on (job, instance, target) group_left () (changes(datatier_target_start_time_seconds{SEL}[$__range]) or 0 * datatier_up{SEL}))",
                       "short", above(warn=1), width=80),
            ], by="store, target, version, role, edition"),
        ]),
    ],
    boxes=[("runbooks", "Runbooks at", "docs/runbooks")],
)  # fmt: skip
