-- What waits and nobody holds: by lane and account, so that a claim takes of each account its share.
CREATE INDEX sms_waiting ON sms (transport, priority, account, next_attempt_at)
    WHERE next_attempt_at IS NOT NULL AND claimed_by IS NULL;
-- What is claimed, by the ends of the leases.
CREATE INDEX sms_claimed ON sms (transport, next_attempt_at)
    WHERE next_attempt_at IS NOT NULL AND claimed_by IS NOT NULL;
-- What is held, by the time at which it expires.
CREATE INDEX sms_held ON sms (give_up_at) WHERE held_at IS NOT NULL;
DROP INDEX sms_due;
