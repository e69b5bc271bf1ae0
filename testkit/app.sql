-- A small shop: what a test finds in every PostgreSQL it starts, in the database "app".
CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE products (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku text NOT NULL UNIQUE,
    title text NOT NULL,
    price numeric(10, 2) NOT NULL CHECK (price >= 0)
);

CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers (id),
    status text NOT NULL DEFAULT 'new',
    placed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_customer_id_idx ON orders (customer_id);
CREATE INDEX orders_open_idx ON orders (placed_at) WHERE status = 'new';

CREATE TABLE order_items (
    order_id bigint NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    product_id bigint NOT NULL REFERENCES products (id),
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, product_id)
);

CREATE TABLE events (
    happened_at timestamptz NOT NULL,
    kind text NOT NULL,
    payload jsonb NOT NULL
) PARTITION BY RANGE (happened_at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_default PARTITION OF events DEFAULT;

INSERT INTO customers (email, name)
SELECT 'customer' || n || '@example.com', 'Customer ' || n FROM generate_series(1, 500) AS n;

INSERT INTO products (sku, title, price)
SELECT 'SKU-' || n, 'Product ' || n, n * 1.5 FROM generate_series(1, 100) AS n;

INSERT INTO orders (customer_id, status, placed_at)
SELECT
    1 + n % 500,
    CASE WHEN n % 10 = 0 THEN 'new' ELSE 'shipped' END,
    timestamptz '2025-01-01' + n * interval '1 hour'
FROM generate_series(1, 2000) AS n;

INSERT INTO order_items (order_id, product_id, quantity)
SELECT o, 1 + (o * 7 + p * 31) % 100, 1 + p FROM generate_series(1, 2000) AS o, generate_series(0, 1) AS p;

INSERT INTO events (happened_at, kind, payload)
SELECT timestamptz '2025-06-01' + n * interval '1 minute', 'page_view', jsonb_build_object('page', n % 20)
FROM generate_series(1, 1000) AS n;

ANALYZE;
