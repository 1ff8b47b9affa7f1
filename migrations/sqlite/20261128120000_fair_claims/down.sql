CREATE INDEX sms_due ON sms (transport, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
DROP INDEX sms_held;
DROP INDEX sms_claimed;
DROP INDEX sms_waiting;
