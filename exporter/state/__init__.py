"""What is known: events of polls become one snapshot of results, states and checks, which all views read."""
