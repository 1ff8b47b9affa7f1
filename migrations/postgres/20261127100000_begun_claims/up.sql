-- 1: its transport may have sent the SMS since it was claimed. 0: it is only held, and nothing of it went out.
-- What was claimed before this column existed may have been sent.
ALTER TABLE sms ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
UPDATE sms SET begun = 1 WHERE claimed_by IS NOT NULL AND next_attempt_at IS NOT NULL;

-- One row: the time line of what waits here, on a machine whose clock may be set. The machine's start, the ledger's time
-- at it, and the ledger's time when it was last written.
CREATE TABLE ledger_clock (
    id BIGINT PRIMARY KEY,
    boot TEXT COLLATE "C" NOT NULL,
    began_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
