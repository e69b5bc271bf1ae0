"""A page of MinIO and what answers with it."""

from exporter.datastores.minio.bucket_rows import LargestParams
from exporter.datastores.minio.session import Health
from exporter.datastores.prometheus_text import NativePage
from exporter.queries.query import Row

PAGE = NativePage(b"""\
# HELP minio_s3_requests_total Total number of S3 requests.
# TYPE minio_s3_requests_total counter
minio_s3_requests_total{api="getobject",server="a:9000"} 7
minio_s3_requests_total{api="getobject",server="b:9000"} 5
minio_s3_requests_total{api="putobject",server="a:9000"} 2
minio_s3_requests_canceled_total{api="getobject",server="b:9000"} 1
minio_s3_requests_4xx_errors_total{api="getobject",server="a:9000"} 3
minio_s3_requests_inflight_total{api="getobject",server="a:9000"} 2
minio_s3_requests_inflight_total{api="putobject",server="a:9000"} 1
minio_s3_requests_waiting_total{server="a:9000"} 0
minio_s3_requests_waiting_total{server="b:9000"} 4
minio_s3_requests_rejected_timestamp_total{server="a:9000"} 9
minio_s3_requests_ttfb_seconds_distribution{api="getobject",le="0.050",server="a:9000"} 6
minio_s3_requests_ttfb_seconds_distribution{api="getobject",le="+Inf",server="a:9000"} 7
minio_s3_requests_ttfb_seconds_distribution{api="getobject",le="0.050",server="b:9000"} 6
minio_s3_requests_ttfb_seconds_distribution{api="getobject",le="+Inf",server="b:9000"} 5
minio_s3_requests_ttfb_seconds_distribution{api="putobject",le="+Inf",server="b:9000"} 5
minio_cluster_capacity_usable_total_bytes{server="a:9000"} 400
minio_cluster_capacity_usable_free_bytes{server="a:9000"} 100
minio_cluster_capacity_usable_free_bytes_more{server="a:9000"} 1
minio_cluster_health_erasure_set_online_drives{pool="0",server="a:9000",set="0"} 16
minio_cluster_health_erasure_set_online_drives{pool="0",server="a:9000",set="1"} 11
minio_cluster_health_erasure_set_online_drives{pool="1",server="a:9000",set="0"} 3
minio_cluster_health_erasure_set_healing_drives{pool="0",server="a:9000",set="0"} 1
minio_cluster_health_erasure_set_write_quorum{pool="0",server="a:9000",set="0"} 12
minio_cluster_health_erasure_set_write_quorum{pool="0",server="a:9000",set="1"} 12
minio_cluster_health_erasure_set_write_quorum{pool="1",server="a:9000",set="0"} 3
minio_cluster_health_erasure_set_status{pool="0",server="a:9000",set="0"} 1
minio_cluster_health_erasure_set_status{pool="0",server="a:9000",set="1"} 0
minio_cluster_health_erasure_set_status{pool="1",server="a:9000",set="0"} 1
minio_cluster_nodes_online_total{server="a:9000"} 2
minio_cluster_nodes_offline_total{server="a:9000"} 1
""")


class OnePage:
    """Answers every health request alike."""

    def __init__(self, status: int, **headers: str) -> None:
        self.answer = Health(status, {name.replace("_", "-"): value for name, value in headers.items()})

    async def health(self, endpoint: str) -> Health:  # noqa: ARG002 - all alike
        return self.answer


def by(rows: list[Row], *labels: str, value: str) -> dict[tuple[object, ...], object]:
    return {tuple(row[label] for label in labels): row[value] for row in rows}


TOP_10 = LargestParams(top=10)


def at(pool: int, drive_set: int) -> dict[str, int]:
    """Return where a drive of the admin API is."""
    return {"pool_index": pool, "set_index": drive_set}
