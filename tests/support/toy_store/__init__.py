"""A store that is not part of the exporter: the least that a new one needs. Its server answers a line with JSON."""
