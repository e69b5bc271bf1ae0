"""Neo4j, Community first: Cypher over Bolt, and the JVM's beans through `dbms.queryJmx`."""
