"""MinIO, and any S3 server as far as it answers: health endpoints, metrics page, admin calls, signed S3 calls."""
