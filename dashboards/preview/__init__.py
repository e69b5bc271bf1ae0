"""Pictures of the dashboards without a Grafana: drawn by Grafana's UI library, photographed in Chromium."""
