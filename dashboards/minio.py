"""MinIO and any S3 server: can it write, what may still fail, is it full, which requests does it serve."""

from dashboards.kit import Page, Row
from dashboards.panels import bars, graph, latency, single, timeline
from dashboards.style import DAYS, EITHER, GOOD, STATES, above, below, limit
from dashboards.tables import Column, grid

_USABLE = 'sum by (target) (minio_capacity_bytes{SEL,kind="usable",state="%s"})'

MINIO = Page(
    "minio",
    "Data tier / MinIO",
    "MinIO and S3 servers: can they write, what may still fail, are they full, who asks for what.",
    [
        Row("Healthy?", [
            single("State", "The state that /health shows.", "short", 'max by (target) (datatier_target_state{SEL,store="minio"})', words=STATES),
            single("Writable", "Whether every erasure set has the drives it needs to write.", "short", "min by (target) (minio_cluster_writable{SEL})", words=GOOD),
            single("Tolerance left", "Drives that the weakest set may still lose before it cannot write.", "short",
                   "min by (target) (minio_erasure_tolerance_drives{SEL})", below(1)),
            single("Drives not well", "Drives that are offline, faulty or healing.", "short",
                   'sum by (target) (minio_drives{SEL,state!="ok"}) or 0 * max by (target) (minio_up{SEL})', above(1, 2), every="1m"),
            single("Nodes offline", "As the node that answers sees the others.", "short", 'sum by (target) (minio_nodes{SEL,state="offline"})', above(fail=1), every="1m"),
            single("Used space", "Used share of the usable capacity.", "percentunit",
                   f"1 - {_USABLE % 'free'} / {_USABLE % 'total'}", limit("disk_used_ratio"), every="1m"),
            single("Full in", "Days until it is full at the speed of the last six hours; no data while it does not grow.", DAYS,
                   f"{_USABLE % 'free'} / (-86400 * sum by (target) (deriv(minio_capacity_bytes{{SEL,kind=\"usable\",state=\"free\"}}[6h])) > 0)",
                   below(14, 4), every="1m"),
            single("Counted", "Age of the numbers of buckets and objects: the scanner counts them when it has time.", "s",
                   "max by (target) (time() - minio_usage_timestamp_seconds{SEL})", above(86400, 259200), every="1m"),
        ]),
        Row("Requests", [
            graph("Requests", "By what is asked; our own pings are listbuckets.", "reqps",
                  {"{{target}} {{api}}": "topk(12, sum by (target, api) (rate(s3_requests_total{SEL}[$__rate_interval])))"}),
            graph("Errors", "Answers with a 4xx (the client's fault, or a missing key) or 5xx status (the server's).", "percentunit",
                  {"{{target}} {{class}}": "sum by (target, class) (rate(s3_request_errors_total{SEL}[5m])) / on (target) group_left () (sum by (target) (rate(s3_requests_total{SEL}[5m])) > 0)"},
                  above(0.01, 0.05)),
            graph("Time to the first byte", "99th percentile by what is asked.", "s",
                  {"{{target}} {{api}}": "topk(12, histogram_quantile(0.99, sum by (target, api, le) (rate(s3_ttfb_seconds_bucket{SEL}[5m]))))"}, above(1, 5)),
            graph("Traffic", "Bytes from and to the clients.", "Bps",
                  {"{{target}} received": "sum by (target) (rate(s3_traffic_received_bytes_total{SEL}[$__rate_interval]))",
                   "{{target}} sent": "sum by (target) (rate(s3_traffic_sent_bytes_total{SEL}[$__rate_interval]))"}),
            graph("In flight and waiting", "Requests being served, and those that wait for their turn.", "short",
                  {"{{target}} {{server}} in flight": "topk(6, s3_inflight_requests{SEL})", "{{target}} {{server}} waiting": "topk(6, s3_waiting_requests{SEL})"}),
            graph("Refused and given up", "Requests that no API took, by reason, and those that clients gave up.", "ops",
                  {"{{target}} {{reason}}": "topk(6, sum by (target, reason) (rate(s3_rejected_requests_total{SEL}[5m])))",
                   "{{target}} given up": "sum by (target) (rate(s3_canceled_total{SEL}[5m])) or 0 * sum by (target) (rate(s3_requests_total{SEL}[5m]))"}),
            latency("Time to the first byte, spread", "All requests; a second band is a slow drive or a healing set.", "s",
                    "sum by (le) (increase(s3_ttfb_seconds_bucket{SEL}[$__rate_interval]))").wide(24),
        ]),
        Row("Drives and nodes", [
            grid("Erasure sets", "What each set may lose, and has lost.", [
                Column("Target", label="target"), Column("Pool", label="pool", width=70), Column("Set", label="set", width=60),
                Column("Writes", "min by (target, pool, set) (minio_erasure_set_healthy{SEL})", words=GOOD, width=90),
                Column("May lose", "min by (target, pool, set) (minio_erasure_tolerance_drives{SEL})", steps=below(1), width=100),
                Column("When whole", "min by (target, pool, set) (minio_erasure_designed_tolerance_drives{SEL})", width=120),
            ], by="target, pool, set").wide(12).high(9),
            graph("Drives by state", "Everything but ok is work for somebody.", "short",
                  {"{{target}} {{state}}": "sum by (target, state) (minio_drives{SEL})"}, stacked=True, every="1m").wide(12),
            timeline("Writable", "Whether every erasure set could write.", {"{{target}}": "min by (target) (minio_cluster_writable{SEL})"}, GOOD).wide(12).high(5),
            timeline("Readable", "Whether every erasure set could read.", {"{{target}}": "min by (target) (minio_cluster_readable{SEL})"}, GOOD).wide(12).high(5),
        ]),
        Row("Capacity", [
            graph("Usable space", "Used and free of what is usable: raw less parity.", "bytes",
                  {"{{target}} used": f"{_USABLE % 'total'} - {_USABLE % 'free'}", "{{target}} free": _USABLE % "free"}, stacked=True, every="1m").wide(6),
            graph("Growth a day", "What a day would add at the speed of the last six hours.", "bytes",
                  {"{{target}}": 'topk(12, -86400 * sum by (target) (deriv(minio_capacity_bytes{SEL,kind="usable",state="free"}[6h])))'}, every="1m").wide(6),
            graph("Largest buckets", "Objects and versions, parity left out, as last counted.", "bytes",
                  {"{{target}} {{bucket}}": "topk(12, s3_bucket_usage_bytes{SEL,BUCKET})"}, every="1m").wide(6),
            bars("Saturation", "Used share of what is limited.", "percentunit", 'topk(12, datatier_saturation_ratio{SEL,store="minio"})',
                 limit("disk_used_ratio"), "{{target}} {{resource}}", most=1).wide(6),
        ]),
        Row("Buckets", [
            grid("Buckets", "What is in them and how they are kept; numbers as last counted.", [
                Column("Target", label="target"), Column("Bucket", label="bucket"),
                Column("Size", "max by (target, bucket) (s3_bucket_usage_bytes{SEL,BUCKET})", "bytes"),
                Column("Objects", "max by (target, bucket) (s3_bucket_objects{SEL,BUCKET})"),
                Column("Versions", "max by (target, bucket) (s3_bucket_versions{SEL,BUCKET})"),
                Column("Delete markers", "max by (target, bucket) (s3_bucket_delete_markers{SEL,BUCKET})"),
                Column("Versioning", 'max by (target, bucket) (s3_bucket_versioning{SEL,BUCKET,state="enabled"})', words=EITHER),
                Column("Object lock", "max by (target, bucket) (s3_bucket_object_lock{SEL,BUCKET})", words=EITHER),
                Column("Replicated", "max by (target, bucket) (s3_bucket_replication_configured{SEL,BUCKET})", words=EITHER),
                Column("Quota", "max by (target, bucket) (s3_bucket_quota_bytes{SEL,BUCKET})", "bytes"),
            ], by="target, bucket", every="1m").high(10),
            grid("Buckets beyond the 2,000 largest", "They have no series of their own; their numbers are added up here.", [
                Column("Target", label="target"),
                Column("Buckets", "max by (target) (s3_bucket_others{SEL})"),
                Column("Size", "max by (target) (s3_bucket_other_usage_bytes{SEL})", "bytes"),
                Column("Objects", "max by (target) (s3_bucket_other_objects{SEL})"),
                Column("Versions", "max by (target) (s3_bucket_other_versions{SEL})"),
                Column("Delete markers", "max by (target) (s3_bucket_other_delete_markers{SEL})"),
                Column("Versioned", 'max by (target) (s3_bucket_other_versioning{SEL,state="enabled"})'),
                Column("Object lock", "max by (target) (s3_bucket_other_object_locks{SEL})"),
                Column("Replicated", "max by (target) (s3_bucket_other_replications_configured{SEL})"),
                Column("Quotas", "max by (target) (s3_bucket_other_quota_bytes{SEL})", "bytes"),
            ], by="target", every="1m").high(5),
        ]),
        Row("Versions", [
            grid("Nodes", "Version of each node, and when it started; more than one version is an upgrade that stopped half-way.", [
                Column("Target", label="target"), Column("Node", label="server"), Column("Version", label="version"),
                Column("Started", "1000 * max by (target, server, version) (minio_build_info{SEL} * on (job, instance, target, server) group_left minio_server_start_time_seconds{SEL})",
                       "dateTimeFromNow"),
            ], by="target, server, version", every="1m").high(6),
        ], collapsed=True),
    ],
    stores="minio",
    variables=[("bucket", "Bucket", "label_values(s3_bucket_usage_bytes{SEL}, bucket)")],
)  # fmt: skip
