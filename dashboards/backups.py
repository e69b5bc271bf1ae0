"""Backups: could you restore, how much would be lost, and is there a copy elsewhere."""

from dashboards.kit import Page, Row
from dashboards.panels import graph, single, timeline
from dashboards.style import CHECKS, above
from dashboards.tables import Column, grid

_SAME_SET = "on (job, instance, target, check)"
_BY = "max by (target, check, of)"


def sets(metric: str, matchers: str = "") -> str:
    """Return the series of sets that lie in the targets that are chosen, or are backups of them."""
    more = f",{matchers}" if matchers else ""
    return f"({metric}{{SEL{more}}} or {metric}{{OF{more}}})"


NEWEST = sets("datatier_backup_last_success_timestamp_seconds")
INTERVAL = sets("datatier_backup_interval_seconds")
EXPECTED = sets("datatier_backup_expected")
ARCHIVES = sets("datatier_backup_info", 'format="wal"')
REPORTS = sets("datatier_backup_info", 'format="report"')
AGE = f"time() - {NEWEST}"
SHARE = f"(time() - {NEWEST}) / {INTERVAL}"
CHECKED = f"({EXPECTED} * {_SAME_SET} group_left () datatier_check_state{{JOB}})"
# Servers that archive into a set that is chosen, or are chosen themselves.
UNARCHIVED = (
    '(label_replace(pg_archiver_unarchived_seconds{SEL}, "of", "$1", "target", "(.*)")'
    ' or label_replace(pg_archiver_unarchived_seconds{JOB}, "of", "$1", "target", "(.*)")'
    f" and on (of) {ARCHIVES})"
)

BACKUPS = Page(
    "backups",
    "Data tier / Backups",
    "Could you restore, how much would be lost, and is there a copy elsewhere. Choose a place, or a server to see its backups.",
    [
        Row("Could you restore?", [
            single("Sets failing", "Sets of backups whose check fails. Red: nothing to restore from, or too old. The table below says which.",
                   "short", f"sum({CHECKED} == bool 3)", above(fail=1), legend="failing", every="1m"),
            single("Sets warning", "Sets with something to mend in the morning: a little late, shrunk, a period missing, a copy behind.",
                   "short", f"sum({CHECKED} == bool 2)", above(warn=1), legend="warning", every="1m"),
            single("Worst by interval", "Age of the newest good backup divided by what its set allows, of the worst set. Above 1 it is late, above 2 a backup is missing.",
                   "short", f"max({SHARE})", above(1, 2), legend="times", every="1m"),
            single("Sets not readable", "Sets whose last look failed: what is shown of them is old, or nothing. Who lacks a right, what is not mounted?",
                   "short", f"sum({sets('datatier_backup_readable')} == bool 0)", above(warn=1), legend="not readable", every="1m"),
            single("Uncovered", "Targets that hold data and whose backups nobody watches: if they ended, nobody would notice.",
                   "short", f"sum(datatier_backup_covered{{SEL}} == bool 0) or 0 * count({EXPECTED})", above(warn=1), legend="targets", every="1m"),
            single("Oldest test", "Time since the job that has not succeeded for longest reported success: a restore test, an integrity check.",
                   "s", f"max({AGE} and {_SAME_SET} {REPORTS})", legend="age", every="1m"),
            single("Recovery point", "How much would be lost with the server now: time since the latest moment that an archive of WAL makes recoverable, the worst.",
                   "s", f"max(time() - {sets('datatier_backup_recoverable_until_timestamp_seconds')})", legend="would be lost", every="1m"),
            single("Slowest by limit", "Duration of the last restore test or job divided by what it may take, the worst. Above 1 you would miss what was promised.",
                   "short", f"max({sets('datatier_backup_last_duration_seconds')} / {sets('datatier_backup_duration_limit_seconds')})", above(1),
                   legend="times", every="1m"),
        ]),
        Row("Sets", [
            grid("Sets of backups", "One row for each set, the latest first. Which backup is there, of what, and is anything wrong with it?", [
                Column("Of", label="of", width=130), Column("Set", label="check"), Column("Place", label="target", width=130),
                Column("State", f"{_BY} ({CHECKED})", words=CHECKS, width=80),
                Column("Newest", f"{_BY} ({AGE})", "s"),
                Column("By interval", f"{_BY} ({SHARE})", "short", above(1, 2)),
                Column("Size", f"{_BY} ({sets('datatier_backup_last_size_bytes')})", "bytes"),
                Column("Median", f"{_BY} ({sets('datatier_backup_median_size_bytes')})", "bytes"),
                Column("Good ones", f"{_BY} ({sets('datatier_backups')})"),
                Column("Not good", f"{_BY} (sum without (reason) ({sets('datatier_backup_rejected')}))", "short", above(warn=1)),
                Column("Periods missing", f"{_BY} (sum without (tier) (clamp_min("
                       f"{sets('datatier_backup_retention_expected')} - {sets('datatier_backup_retained')}, 0)))", "short", above(warn=1)),
                Column("Copy behind", f"{_BY} ({sets('datatier_backup_copy_behind_seconds')})", "s"),
                Column("Looked at", f"{_BY} (time() - {sets('datatier_backup_observed_timestamp_seconds')})", "s", above(3600)),
            ], by="target, check, of", worst="By interval", every="1m").high(11),
            timeline("State of each set", "Since when has which set been ill, alone or together? Together it is mostly the place, or what makes them all.",
                     {"{{target}} {{check}}": f"{_BY} ({CHECKED})"}, CHECKS, every="1m"),
            grid("Not good", "Backups that are there and are of no use, by reason; /findings of the place names the files.", [
                Column("Of", label="of", width=130), Column("Set", label="check"), Column("Place", label="target", width=130),
                Column("Reason", label="reason", width=130),
                Column("How many", f"max by (target, check, of, reason) ({sets('datatier_backup_rejected')} > 0)", width=100),
                Column("Newest is", f"max by (target, check, of, reason) ({sets('datatier_backup_newest_rejected')} > 0)",
                       words={1: ("one of them", "orange")}, width=110),
            ], by="target, check, of, reason", every="1m").wide(12),
            grid("Retention", "Days, weeks, months and years that have a good backup, and how many must have one. How far back could you go?", [
                Column("Of", label="of", width=130), Column("Set", label="check"), Column("Place", label="target", width=130),
                Column("Tier", label="tier", width=90),
                Column("Kept", f"max by (target, check, of, tier) ({sets('datatier_backup_retained')})", width=80),
                Column("Wanted", f"max by (target, check, of, tier) ({sets('datatier_backup_retention_expected')})", width=80),
                Column("Missing", f"max by (target, check, of, tier) (clamp_min({sets('datatier_backup_retention_expected')}"
                       f" - {sets('datatier_backup_retained')}, 0))", "short", above(warn=1), width=80),
            ], by="target, check, of, tier", worst="Missing", every="1m").wide(12),
        ]),
        Row("Age and size", [
            graph("Age by interval", "Teeth that end below 1: the job comes in time. A line that climbs on: it has stopped, and the slope began then.", "short",
                  {"{{target}} {{check}}": f"topk(12, {SHARE})"}, above(1, 2), every="1m"),
            graph("Size of the newest", "A step down: tables are missing, or much was deleted. To nothing: the job dies.", "bytes",
                  {"{{target}} {{check}}": f"topk(12, {sets('datatier_backup_last_size_bytes')})"}, every="1m"),
            graph("Size of all", "What each set takes up. Does it grow faster than its place, does anything delete too much?", "bytes",
                  {"{{target}} {{check}}": f"topk(12, {sets('datatier_backup_bytes')})"}, every="1m"),
        ]),
        Row("Recovery point", [
            graph("Window of recovery", "Between these two ages any moment can be recovered from the archive of WAL. Below: what would be lost. Above: how far back.", "s",
                  {"{{target}} {{check}} lost": f"topk(6, time() - {sets('datatier_backup_recoverable_until_timestamp_seconds')})",
                   "{{target}} {{check}} back": f"topk(6, time() - {sets('datatier_backup_recoverable_from_timestamp_seconds')})"}, every="1m"),
            graph("Not archived", "How long the server has written what is in no archive yet. It climbs: archiving fails, waits, or the segment is not full.", "s",
                  {"{{target}}": f"topk(12, {UNARCHIVED})"}, every="1m"),
            graph("Gaps", "Segments that are missing between a base backup and the newest segment. Above 0: recovery ends there; take a base backup.", "short",
                  {"{{target}} {{check}}": f"topk(12, {sets('datatier_backup_wal_gaps')})"}, above(fail=1), every="1m"),
        ]),
        Row("Restore tests and copies", [
            graph("Duration by limit", "What the last restore test or job took, divided by what it may take. It nears 1: the data outgrows the time promised.", "short",
                  {"{{target}} {{check}}": f"topk(12, {sets('datatier_backup_last_duration_seconds')} / {sets('datatier_backup_duration_limit_seconds')})"},
                  above(1), every="1m"),
            graph("Duration", "What it took in seconds: so long would people wait for a restore.", "s",
                  {"{{target}} {{check}}": f"topk(12, {sets('datatier_backup_last_duration_seconds')})"}, every="1m"),
            graph("Copies", "How much older the newest copy is than its original, in another place. It climbs: what burns here now is not there.", "s",
                  {"{{target}} {{check}}": f"topk(12, {sets('datatier_backup_copy_behind_seconds')})"}, every="1m"),
        ]),
    ],
)  # fmt: skip
