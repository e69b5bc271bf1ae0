"""The view for Prometheus: the snapshot as pages of samples."""
