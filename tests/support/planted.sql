-- For all that is in the psql variables functions, operators and words: a function, operator, view or type in public.
SET search_path = pg_catalog;
CREATE FUNCTION public.planted_run(statement text) RETURNS int LANGUAGE plpgsql AS
    $$BEGIN EXECUTE statement; RETURN 1; EXCEPTION WHEN OTHERS THEN RETURN 0; END$$;
CREATE FUNCTION public.planted_body(name text, result text) RETURNS text LANGUAGE sql AS $$
    SELECT format('LANGUAGE plpgsql AS $body$BEGIN RAISE LOG ''planted code ran: %%'', %L; %s; END$body$', name, result)
$$;
CREATE TEMP TABLE used AS
    SELECT p.oid, proname, prokind, pronargs, proretset, prorettype, proargmodes
    FROM pg_proc AS p WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = ANY (:'functions');
CREATE TEMP TABLE tight AS
    SELECT type, place FROM unnest('{name,text,oid,int4,float8,int8,bool,"\"char\"",regclass,timestamptz,xid,pg_lsn,text[],name[]}'::text[])
        WITH ORDINALITY AS types (type, place);
-- The same signatures, for a search path that has public first.
SELECT sum(public.planted_run(
    replace(substring(pg_get_functiondef(oid) FROM '^(.*?)\n LANGUAGE'), 'FUNCTION pg_catalog.', 'FUNCTION public.')
    || ' ' || public.planted_body(
        proname, CASE WHEN proretset OR prorettype = 'void'::regtype OR 'o' = ANY (proargmodes) THEN 'RETURN' ELSE 'RETURN NULL' END
    )
)) FROM used WHERE prokind = 'f';
-- Tighter ones, which win wherever the path leads first.
SELECT sum(public.planted_run(format(
    'CREATE FUNCTION public.%I(%s) RETURNS %s %s', proname, types, result, public.planted_body(proname, 'RETURN NULL')
))) FROM (
    SELECT DISTINCT ON (proname, pronargs) proname, pronargs,
        CASE WHEN prorettype IN ('anyelement'::regtype, 'record'::regtype) OR proretset THEN 'text' ELSE prorettype::regtype::text END AS result
    FROM used WHERE prokind = 'f' AND pronargs IN (1, 2) ORDER BY proname, pronargs, oid
) AS f CROSS JOIN LATERAL (
    SELECT type FROM tight WHERE pronargs = 1
    UNION ALL SELECT a.type || ',' || b.type FROM tight AS a, tight AS b WHERE pronargs = 2 AND a.place <= 5 AND b.place <= 5
) AS t (types);
SELECT sum(public.planted_run(format(
    'CREATE FUNCTION public.format(text%s) RETURNS text %s', repeat(',' || type, n), public.planted_body('format', 'RETURN NULL')
))) FROM tight, generate_series(1, 5) AS n WHERE place <= 5;
-- Aggregates.
SELECT sum(
    public.planted_run(format('CREATE FUNCTION public.planted_state(int, %s) RETURNS int %s', type, public.planted_body('state', 'RETURN 1')))
) FROM tight;
SELECT sum(public.planted_run(format('CREATE AGGREGATE public.%I(%s) (SFUNC = public.planted_state, STYPE = int)', proname, type)))
    FROM tight, (SELECT DISTINCT proname FROM used WHERE prokind = 'a') AS a;
-- Operators: the same, and tighter ones.
SELECT sum(
    public.planted_run(format('CREATE FUNCTION public.planted_op%s(%s) RETURNS %s %s', n, args, result, public.planted_body(oprname, 'RETURN NULL')))
    + public.planted_run(format('CREATE OPERATOR public.%s (%s RIGHTARG = %s, FUNCTION = public.planted_op%s)', oprname, l, r, n))
) FROM (
    SELECT row_number() OVER () AS n, * FROM (
        SELECT oprname, concat_ws(',', nullif(oprleft, 0)::regtype, oprright::regtype) AS args, oprresult::regtype AS result,
            CASE WHEN oprleft <> 0 THEN format('LEFTARG = %s,', oprleft::regtype) ELSE '' END AS l, oprright::regtype::text AS r
        FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprname = ANY (:'operators')
        UNION ALL
        SELECT name, a.type || ',' || b.type, 'bool', format('LEFTARG = %s,', a.type), b.type
        FROM unnest(:'operators'::text[]) AS name, tight AS a, tight AS b
        WHERE EXISTS (SELECT FROM pg_operator WHERE oprname = name) AND a.place <= 5 AND b.place <= 5 AND NOT EXISTS (
            SELECT FROM pg_operator WHERE oprname = name AND oprleft = a.type::regtype AND oprright = b.type::regtype
        )
    ) AS both_kinds
) AS o;
-- Views and types of the same names.
SELECT sum(public.planted_run(format('CREATE VIEW public.%I AS SELECT * FROM pg_catalog.%1$I WHERE public.planted(%1$L)', relname)))
    FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v') AND relname = ANY (:'words');
SELECT sum(public.planted_run(format('CREATE DOMAIN public.%I AS pg_catalog.%1$I CHECK (public.planted(%1$L))', typname)))
    FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typname = ANY (:'words');
