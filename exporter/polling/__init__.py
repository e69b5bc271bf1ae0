"""When each query runs, and the one place that catches its failures: a task group for each target publishes events."""
