CREATE INDEX sms_due ON sms (transport, next_attempt_at, id) WHERE next_attempt_at IS NOT NULL;
