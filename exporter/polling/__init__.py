"""When a query is asked, and the one place where its failure ends: a task group a target publishes events."""
