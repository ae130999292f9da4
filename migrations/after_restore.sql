-- Once, by the database's owner, on a restored database before any process starts. What happened after the point of the restore is not
-- known here: nobody stays signed in by it, no reply goes to a buyer a second time by itself, and no address is called unknown for good.

-- A session, link or attempt that was ended since would be good again.
DELETE FROM sessions;
DELETE FROM sign_in_challenges;
DELETE FROM password_resets;
DELETE FROM invitations;
DELETE FROM authorization_attempts;
DELETE FROM oidc_attempts;
-- What was about to be sent has perhaps been sent since: an agent looks and decides. What an agent has scheduled for later than now waits on.
UPDATE outbound_messages SET state = 'perhaps_sent', state_since = now(), claimed_until = NULL
 WHERE state IN ('queued', 'sending', 'delayed') OR (state = 'scheduled' AND due_at <= now());
