-- A table and a view of somebody's own. An expression, a policy, a default, a cast: what reads the table, or is asked
-- about it, may call their functions.
SET search_path = pg_catalog;
CREATE TYPE public.planted_mood AS ENUM ('good');
CREATE FUNCTION public.planted(text) RETURNS bool LANGUAGE plpgsql STABLE AS
    $$BEGIN RAISE LOG 'planted code ran: %', $1; RETURN true; END$$;
CREATE FUNCTION public.planted(public.planted_mood) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
    $$BEGIN RAISE LOG 'planted code ran: cast'; RETURN 'x'; END$$;
CREATE FUNCTION public.planted(bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
    $$BEGIN RAISE LOG 'planted code ran: expression'; RETURN $1; END$$;
CREATE CAST (public.planted_mood AS text) WITH FUNCTION public.planted(public.planted_mood) AS IMPLICIT;
CREATE TABLE public.planted_table (
    id bigint DEFAULT public.planted(1::bigint) CHECK (public.planted(id) > 0), mood public.planted_mood,
    twice bigint GENERATED ALWAYS AS (public.planted(id)) STORED
);
CREATE INDEX ON public.planted_table (public.planted(id)) WHERE public.planted(id) > 1;
ALTER TABLE public.planted_table ENABLE ROW LEVEL SECURITY;
CREATE POLICY planted ON public.planted_table USING (public.planted(id) > 0);
INSERT INTO public.planted_table (id, mood) VALUES (1, 'good');
CREATE VIEW public.planted_view AS SELECT public.planted('view')::text AS version;
GRANT SELECT ON public.planted_table, public.planted_view TO PUBLIC;
