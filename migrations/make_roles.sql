-- One role for each kind of process. A dump of the database grants them their rights and does not hold them: they come first.
--
-- They are made without a password and cannot log in; whoever deploys gives them one:
--   ALTER ROLE replyco_relay LOGIN PASSWORD '…';

DO $$
BEGIN
    FOR i IN 1..3 LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', (ARRAY['replyco_connector', 'replyco_relay', 'replyco_mail_worker'])[i]);
        EXCEPTION WHEN duplicate_object THEN NULL;
        END;
    END LOOP;
END
$$;
