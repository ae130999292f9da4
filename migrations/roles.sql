-- Who may do what in the database: one role for each kind of process, applied anew by every `upgrade`.
--
-- make_roles.sql has made them.
-- What a role does not need is not granted. The relay, which faces the internet, reads relay addresses and inserts accepted mail.

REVOKE ALL ON SCHEMA public FROM PUBLIC;
-- No process needs tables or functions of its own, not even for a session.
DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, replyco_connector, replyco_relay, replyco_mail_worker;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, replyco_connector, replyco_relay, replyco_mail_worker;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC, replyco_connector, replyco_relay, replyco_mail_worker;
GRANT USAGE ON SCHEMA public TO replyco_connector, replyco_relay, replyco_mail_worker;

-- The relay: the internet talks to it.
GRANT SELECT (id, account_id, local_part, retired_at) ON relay_addresses TO replyco_relay;
GRANT INSERT (id, account_id, relay_address_id, session_id, peer_address, tls_version, size, mail_key_id, content_key, envelope, raw,
    blob_key, blob_digest, lane)
    ON accepted_mail TO replyco_relay;
GRANT SELECT ON proven_networks TO replyco_relay;

-- The mail worker: accepted mail becomes messages. It sees no token, session, user or API key.
GRANT SELECT ON accepted_mail, relay_addresses, account_keys TO replyco_mail_worker;
GRANT SELECT (id, account_id, name, region, home_country, last_message_at, first_authentic_mail_at, verification_mail_at, misdirected_mail_at,
    forwarded_mail_at, paused_at, disconnected_at, removed_at)
    ON integrations TO replyco_mail_worker;
GRANT UPDATE (state, attempts, next_attempt_at, failure_code, lane, is_put_off) ON accepted_mail TO replyco_mail_worker;
GRANT UPDATE (last_message_at, first_authentic_mail_at, verification_mail_at, misdirected_mail_at, forwarded_mail_at) ON integrations TO replyco_mail_worker;
-- To whom Amazon has addressed a mail: whether that mailbox is forwarded here, and whether another account had the mail first.
GRANT SELECT (integration_id, address_key) ON forwarded_mailboxes TO replyco_mail_worker;
GRANT SELECT, INSERT, UPDATE (account_id) ON seen_signatures TO replyco_mail_worker;
GRANT SELECT, INSERT, UPDATE (proven_at), DELETE ON proven_networks TO replyco_mail_worker;
-- It asks the connector's worker to decide the lock anew.
GRANT SELECT (kind, subject_id, requests, due_at), INSERT (kind, subject_id), UPDATE (requests, attempts, due_at, held_at, failure)
    ON jobs TO replyco_mail_worker;
GRANT SELECT, INSERT ON message_digests TO replyco_mail_worker;
-- What a newer parser understands better is written over what an older one understood.
GRANT SELECT, INSERT, UPDATE ON messages TO replyco_mail_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON attachments, conversation_orders TO replyco_mail_worker;
GRANT SELECT, INSERT, UPDATE ON conversations, conversation_threads TO replyco_mail_worker;
GRANT SELECT (account_id, kind) ON muted_kinds TO replyco_mail_worker;
GRANT SELECT ON marketplace_participations TO replyco_mail_worker;
GRANT SELECT, INSERT, UPDATE (done_by) ON setup_steps TO replyco_mail_worker;
GRANT INSERT (id, account_id, at, kind, ids) ON events TO replyco_mail_worker;

-- It sends replies: it reads what agents wrote, writes what became of it, and stops or restarts a conversation's clock. Of drafts and templates
-- it sees nothing, and of notes only where they are: they go with a mail that is let out of quarantine.
GRANT SELECT (id, conversation_id), UPDATE (conversation_id) ON notes TO replyco_mail_worker;
GRANT SELECT ON outbound_messages, reply_files, smtp_configurations TO replyco_mail_worker;
GRANT UPDATE (answers_message_id, state, state_since, due_at, attempts, first_attempt_at, claimed_until, data_sent_at, handed_over_at,
    confirmed_at, transport, sent_from, failure, server_words, dismissed_at) ON outbound_messages TO replyco_mail_worker;
GRANT UPDATE (scan) ON reply_files TO replyco_mail_worker;
GRANT UPDATE (refused_since, refused_at) ON smtp_configurations TO replyco_mail_worker;
GRANT SELECT (sender_refused_at, reply_confirmed_at, confirmation_notice_at), UPDATE (sender_refused_at, reply_confirmed_at, confirmation_notice_at)
    ON integrations TO replyco_mail_worker;

-- The connector and its worker: everything else. Mail is read, placed and deleted, its words are never written; the audit log only
-- grows, and what is older than twelve months ends by a function that takes no other time.
GRANT SELECT, INSERT, UPDATE ON accounts, account_keys, users, integrations, relay_addresses, grants, conversations TO replyco_connector;
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions, known_browsers, sign_in_failures, passkeys, recovery_codes, sign_in_challenges, password_resets, invitations, oidc_providers, oidc_domains, oidc_attempts, api_keys, authorization_attempts,
    marketplace_participations, setup_steps TO replyco_connector;
GRANT SELECT ON accepted_mail, messages, attachments TO replyco_connector;
GRANT SELECT ON proven_networks TO replyco_connector; -- `doctor` counts them
-- An agent moves messages between conversations, lets them out of quarantine, and settles answers.
GRANT UPDATE (conversation_id, placed_by, answer_settled_at, answered_by, recheck_at) ON messages TO replyco_connector;
GRANT SELECT, INSERT, UPDATE, DELETE ON conversation_threads, conversation_orders TO replyco_connector;
-- An account that was closed is erased after its grace period; its addresses end by a function that
-- keeps their local parts and takes those of no other account.
GRANT DELETE ON account_keys, users, integrations, grants TO replyco_connector;
GRANT SELECT ON spent_addresses TO replyco_connector;
-- A store that is restored gets the mail of its grace period; one that is removed may be erased.
GRANT UPDATE (state) ON accepted_mail TO replyco_connector;
GRANT SELECT, DELETE ON message_digests, seen_signatures TO replyco_connector;
GRANT DELETE ON accepted_mail, messages, attachments, conversations TO replyco_connector;
GRANT SELECT, INSERT, UPDATE, DELETE ON login_requests, service_troubles, throttle_buckets, application_secrets, smtp_configurations,
    events, webhooks, webhook_deliveries, idempotency_keys, notices, jobs, forwarded_mailboxes,
    outbound_messages, reply_files, reply_drafts, reply_templates, notes, conversation_merges, tags, saved_views, muted_kinds, conversations_changes,
    orders, order_items, order_packages, order_lookups, order_syncs, order_reports, order_snapshots, amazon_pauses, deletion_watch,
    order_hints, notice_subscriptions TO replyco_connector;
GRANT SELECT, INSERT, UPDATE ON page_feedback TO replyco_connector;
GRANT SELECT, INSERT ON audit_log, read_log, application_notices TO replyco_connector;
-- Whether what is missing may have been made after the point of a restore.
GRANT SELECT (restored_at, ends_at) ON restorations TO replyco_connector, replyco_relay, replyco_mail_worker;
-- Each role is ready only on tables of its own version or a later one.
GRANT SELECT ON alembic_version TO replyco_connector, replyco_relay, replyco_mail_worker;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO replyco_connector;
GRANT EXECUTE ON FUNCTION ensure_partitions(timestamptz), partitions_missing(timestamptz), partition_ranges(), uuid_at(timestamptz),
    end_audit_entries(integer), end_read_months(), end_addresses(uuid, integer)
    TO replyco_connector;
GRANT EXECUTE ON FUNCTION uuid_at(timestamptz) TO replyco_mail_worker; -- where the queue begins
