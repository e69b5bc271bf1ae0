"""HTTP: server, access control and endpoints. Responses are made from the snapshot; no request reaches a store."""
