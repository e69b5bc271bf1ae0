"""The state of all targets: events of polls become one snapshot of results, states and checks for all views."""
