-- A database in which everything that the queries look for is there once.
CREATE EXTENSION pgstattuple;
GRANT pg_read_all_data TO monitor;

CREATE TABLE tickets (id serial PRIMARY KEY, note text);  -- an int whose sequence is near its end
SELECT setval('tickets_id_seq', 1997159792);

CREATE TABLE visits (customer_id bigint REFERENCES customers (id), at timestamptz);  -- no key, no index for the reference
INSERT INTO visits SELECT 1 + n % 500, now() FROM generate_series(1, 5000) AS n;
ALTER TABLE visits ADD CONSTRAINT visits_in_time CHECK (at > '2000-01-01') NOT VALID;

CREATE INDEX orders_customer_again_idx ON orders (customer_id);  -- a duplicate
CREATE INDEX order_items_order_idx ON order_items (order_id);  -- the beginning of the primary key

CREATE TABLE bulky (id int, filler text) WITH (autovacuum_enabled = off);
INSERT INTO bulky SELECT n, repeat('x', 300) FROM generate_series(1, 20000) AS n;
CREATE INDEX bulky_id_idx ON bulky (id);
DELETE FROM bulky WHERE id % 10 > 0;

CREATE TABLE measures (at timestamptz NOT NULL, value float8) PARTITION BY RANGE (at);
CREATE TABLE measures_old PARTITION OF measures FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
CREATE TABLE measures_default PARTITION OF measures DEFAULT;
INSERT INTO measures VALUES (now(), 1);
CREATE TABLE planned (at timestamptz NOT NULL) PARTITION BY RANGE (at);

CREATE MATERIALIZED VIEW customers_by_day AS SELECT created_at::date AS day, count(*) FROM customers GROUP BY 1 WITH NO DATA;

CREATE TABLE tenants (id int PRIMARY KEY, name text);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
INSERT INTO tenants VALUES (1, 'the first');

CREATE PUBLICATION everything FOR ALL TABLES;
CREATE SUBSCRIPTION nobody CONNECTION 'host=127.0.0.1' PUBLICATION everything WITH (connect = false, slot_name = NONE, enabled = false);

SELECT pg_create_physical_replication_slot('forgotten', true);
SELECT pg_create_logical_replication_slot('changes', 'pgoutput');
ANALYZE;
VACUUM bulky;

BEGIN;
INSERT INTO tenants VALUES (0, 'somebody');
PREPARE TRANSACTION 'left behind';

SELECT format('SELECT %s FROM pg_class WHERE relpages = %s', repeat('reltuples + ', n % 100) || 'oid::int', n)
    || repeat(' OR relpages = 0', n / 100)
FROM generate_series(1, 5100) AS n
\gexec
