-- Partitions of the tables that grow with time (docs/adr/0002): one a month, cut by the UUIDv7 that a row's key begins with. Applied anew by
-- every `upgrade`. Tables in partitions by a hash have all of theirs from the beginning and are none of this file's. A default partition, named `…_other`, takes what no month does (a wrong clock, months that nobody has made): never
-- a reason to refuse a mail.

DROP FUNCTION IF EXISTS ensure_partitions(timestamptz), partitions_missing(timestamptz), partition_ranges(), end_read_months();

-- Every partition but the default ones, and the ids that it takes: from `first` to below `past`.
CREATE FUNCTION partition_ranges() RETURNS TABLE (parent text, partition text, first uuid, past uuid)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT parent.relname, part.relname,
        CASE bound[1] WHEN 'MINVALUE' THEN '00000000-0000-0000-0000-000000000000' ELSE trim(bound[1], '''') END::uuid,
        trim(bound[2], '''')::uuid
    FROM pg_class parent
    JOIN pg_inherits ON inhparent = parent.oid
    JOIN pg_class part ON part.oid = inhrelid,
    LATERAL regexp_match(pg_get_expr(part.relpartbound, part.oid), 'FROM \((.+)\) TO \((.+)\)') AS bound
    WHERE parent.relkind = 'p' AND parent.relnamespace = 'public'::regnamespace AND bound IS NOT NULL
$$;

-- The tables whose rows of that moment would lie in the default partition, or nowhere.
CREATE FUNCTION partitions_missing(moment timestamptz) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT relname::text FROM pg_class JOIN pg_partitioned_table ON partrelid = pg_class.oid AND partstrat = 'r'
    WHERE relkind = 'p' AND relnamespace = 'public'::regnamespace AND NOT EXISTS (
        SELECT FROM partition_ranges() r WHERE r.parent = relname AND first <= uuid_at(moment) AND uuid_at(moment) < past)
    ORDER BY relname
$$;

-- Makes this month's partitions and those of three months more. How many could not be made: they are for the next call.
--
-- Nobody waits for it. `CREATE TABLE … PARTITION OF` asks for ACCESS EXCLUSIVE on the parent, and behind it every COPY of the relays
-- queues for as long as somebody reads (a pg_dump). A table that stands alone needs nobody's lock, and ATTACH needs SHARE UPDATE
-- EXCLUSIVE on the parent, which lets mail in. What it does wait for is whoever reads the default partition, and writers of tables
-- that foreign keys refer to; for half a second at most, then it is left for the next call.
--
-- Owned by the owner of the tables and run with their rights: the worker that calls it may create partitions and nothing else.
CREATE FUNCTION ensure_partitions(today timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET timezone = 'UTC' SET lock_timeout = '500ms' AS $$
DECLARE
    growing text;
    begins timestamptz;
    first_id uuid;
    past_id uuid;
    name text;
    key text;
    few_strays text;
    strays bigint;
    movable integer;
    missing integer := 0;
    is_locked boolean := NOT pg_try_advisory_xact_lock(7302114366);  -- another worker is at it
BEGIN
    FOR growing IN SELECT relname FROM pg_class JOIN pg_partitioned_table ON partrelid = pg_class.oid AND partstrat = 'r'
        WHERE relnamespace = 'public'::regnamespace ORDER BY relname LOOP
        key := (SELECT attname FROM pg_partitioned_table JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0]
            WHERE partrelid = growing::regclass);
        few_strays := format('SELECT count(*) FROM (SELECT FROM %I WHERE %I >= $1 AND %I < $2 LIMIT 1001) few', growing || '_other', key, key);
        -- A clock that was wrong has put mails where a month now comes. So many are moved in a moment.
        movable := CASE growing WHEN 'accepted_mail' THEN 1000 ELSE 0 END;
        FOR month IN 0..3 LOOP
            begins := date_trunc('month', today) + make_interval(months => month);
            first_id := uuid_at(begins);
            past_id := uuid_at(begins + interval '1 month');
            -- A partition of another length may hold the beginning of the month.
            first_id := greatest(first_id, (
                SELECT past FROM partition_ranges() r WHERE r.parent = growing AND first < past_id AND past > first_id
                ORDER BY past DESC LIMIT 1));
            CONTINUE WHEN first_id >= past_id;
            IF is_locked THEN
                missing := missing + 1;
                CONTINUE;
            END IF;
            name := growing || '_' || to_char(begins, 'YYYYMM');
            BEGIN
                -- Rows that lie in the default partition and have to stay there are seen first, so that nobody is locked out for nothing.
                EXECUTE few_strays INTO strays USING first_id, past_id;
                IF strays > movable THEN
                    RAISE check_violation;
                END IF;
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', name, growing);
                IF growing = 'accepted_mail' THEN
                    -- Each delivery leaves a dead entry at the end of the index of what is due where workers look first. By default
                    -- a vacuum comes when a fifth of the month is dead, and would leave so few entries in their index.
                    EXECUTE format('ALTER TABLE %I SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,'
                        ' vacuum_index_cleanup = on)', name);
                    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', growing || '_other');
                    EXECUTE few_strays INTO strays USING first_id, past_id;
                    IF strays BETWEEN 1 AND movable THEN
                        EXECUTE format('WITH moved AS (DELETE FROM %I WHERE %I >= $1 AND %I < $2 RETURNING *)'
                            ' INSERT INTO %I SELECT * FROM moved', growing || '_other', key, key, name) USING first_id, past_id;
                    END IF;
                END IF;
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', growing, name, first_id, past_id);
            EXCEPTION
                WHEN lock_not_available OR deadlock_detected THEN
                    RAISE WARNING 'partition % waits: somebody reads or writes where it belongs', name;
                    missing := missing + 1;
                    is_locked := true;
                WHEN check_violation THEN
                    -- Rows of that time lie in the default partition and have to stay there: its month is there.
                    RAISE WARNING 'what % takes from % on stays in its default partition', growing, begins;
                    missing := missing + 1;
            END;
        END LOOP;
    END LOOP;
    RETURN missing;
END
$$;

-- Drops the months of the read log of which all is older than twelve months, and deletes as old rows that lie in no month. How much there
-- still is of both: it waits for the next call.
--
-- The owner's function knows the age: the worker that calls it ends nothing that is younger.
CREATE FUNCTION end_read_months() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
    month text;
    over_id uuid := uuid_at(now() - interval '12 months');
    deleted integer;
    waiting integer := 0;
BEGIN
    FOR month IN SELECT r.partition FROM partition_ranges() r WHERE parent = 'read_log' AND past <= over_id LOOP
        BEGIN
            EXECUTE format('DROP TABLE %I', month);
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            RAISE WARNING 'partition % waits: somebody reads or writes the read log', month;
            waiting := waiting + 1;
        END;
    END LOOP;
    DELETE FROM read_log_other WHERE id IN (SELECT id FROM read_log_other WHERE id < over_id ORDER BY id LIMIT 10000);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN waiting + CASE deleted WHEN 10000 THEN 1 ELSE 0 END;
END
$$;
