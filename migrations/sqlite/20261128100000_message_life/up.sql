-- 0 low, 1 normal, 2 high.
ALTER TABLE sms ADD COLUMN priority INTEGER NOT NULL DEFAULT 1;
-- Not to be sent before; NULL: at once.
ALTER TABLE sms ADD COLUMN scheduled_at BIGINT;
-- Held back since then, and why; its `next_attempt_at` is NULL meanwhile.
ALTER TABLE sms ADD COLUMN held_at BIGINT;
ALTER TABLE sms ADD COLUMN held_because TEXT;
ALTER TABLE sms ADD COLUMN segments INTEGER NOT NULL DEFAULT 1;
-- The first SMS of the call that brought several; NULL for that one itself.
ALTER TABLE sms ADD COLUMN batch BIGINT;
-- The client's own name for it, and where its events are posted beside the account's callbacks.
ALTER TABLE sms ADD COLUMN reference TEXT;
ALTER TABLE sms ADD COLUMN callback_url TEXT;
-- `text`, `flash` or `binary`: of a binary one `message` and `udh` are hex.
ALTER TABLE sms ADD COLUMN content TEXT NOT NULL DEFAULT 'text';
ALTER TABLE sms ADD COLUMN udh TEXT;
-- The outbound route that chose its transport; NULL: the client named the transport.
ALTER TABLE sms ADD COLUMN route TEXT;
CREATE INDEX sms_reference ON sms (account, reference, id) WHERE reference IS NOT NULL;
CREATE INDEX sms_routed ON sms (account, updated_at DESC, id DESC) WHERE route IS NOT NULL;

-- What was done with an SMS beside attempts, receipts and callbacks: held, released, cancelled, routed and the like.
CREATE TABLE sms_events (
    id INTEGER PRIMARY KEY NOT NULL,
    sms BIGINT NOT NULL,
    at BIGINT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX sms_events_sms ON sms_events (sms, id);
