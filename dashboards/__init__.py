"""The Grafana dashboards: `python -m dashboards` writes the JSON files beside these modules."""
