"""Benchmarks against real servers: `python -m bench` runs all, `python -m bench.scrape` (or any other) one."""
