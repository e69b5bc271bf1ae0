"""A stand-in for the Qdrant server, which no package registry carries.

Qdrant's own engine (`qdrant-edge-py`) stores and searches, so points, filters, HNSW graphs, recall, segments and
optimizations are real. What the server adds around its engine is rebuilt from recorded answers of a 1.18.3
(`recorded/`): routes, keys, errors, telemetry, `/metrics`. Request counts and durations, memory, open files and
uptime are the double's own, really measured.

Yellow and grey are real too: indexing takes its time in another process, and waits for a write after a restart.

Not there: gRPC, JWT, TLS, aliases, rate limits, quotas, strict mode, merging and vacuuming of segments, shard keys;
queries other than nearest (by vector or id), sample, order_by and fusion answer 400.

Not real: peers, replicas and everything `scene` invents; the steps inside an optimization's progress; hardware
counters other than `vector_io_write`; the format of a snapshot.
"""
