-- The password before the last rotation, right until then. Times are NULL where they never come.
ALTER TABLE accounts ADD COLUMN former_hash TEXT;
ALTER TABLE accounts ADD COLUMN former_until BIGINT;
ALTER TABLE accounts ADD COLUMN expires_at BIGINT;
ALTER TABLE accounts ADD COLUMN locked_at BIGINT;
ALTER TABLE accounts ADD COLUMN stopped_at BIGINT;
-- Lists, an item a line; an empty one allows everything.
ALTER TABLE accounts ADD COLUMN networks TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN senders TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN transports TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN countries TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN country_code TEXT;

-- `digest`: SHA-256 of the token, in hex digits.
CREATE TABLE account_tokens (
    id INTEGER PRIMARY KEY NOT NULL,
    account BIGINT NOT NULL,
    label TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE UNIQUE INDEX account_tokens_label ON account_tokens (account, label);

-- One row: how often an account or token was changed. Processes look whether what they remember of accounts still holds.
CREATE TABLE account_changes (
    id BIGINT PRIMARY KEY NOT NULL,
    changes BIGINT NOT NULL
);

-- Of accounts that have quotas. `waiting`: how many SMS with `charged` wait. `balance` and `spent`: millionths of a segment, or
-- of money; what is left, and what was taken since the budget was set.
CREATE TABLE account_quotas (
    account BIGINT PRIMARY KEY NOT NULL,
    recipients_per_minute BIGINT,
    most_waiting BIGINT,
    waiting BIGINT NOT NULL,
    budget_unit TEXT,
    balance BIGINT NOT NULL,
    spent BIGINT NOT NULL
);

-- What the SMS took from its account's budget; 0: nothing, but it counts as waiting. NULL: its account has no such quotas.
ALTER TABLE sms ADD COLUMN charged BIGINT;

-- Whatever ends an SMS that counts for quotas: it waits no longer. One that was cancelled (6) or expired (10) and never tried
-- gives back what it took, once. It waits again where it is sent again.
CREATE TRIGGER sms_quota AFTER UPDATE OF status ON sms
WHEN NEW.charged IS NOT NULL
    AND (OLD.next_attempt_at IS NULL AND (OLD.held_at IS NULL OR OLD.status NOT IN (0, 1)))
        <> (NEW.next_attempt_at IS NULL AND (NEW.held_at IS NULL OR NEW.status NOT IN (0, 1)))
BEGIN
    UPDATE account_quotas SET
        waiting = max(waiting + CASE WHEN NEW.next_attempt_at IS NULL AND (NEW.held_at IS NULL OR NEW.status NOT IN (0, 1))
            THEN -1 ELSE 1 END, 0),
        balance = balance + CASE WHEN NEW.next_attempt_at IS NULL AND NEW.status IN (6, 10)
            AND NEW.attempts = 0 AND NEW.unsure = 0 AND OLD.begun = 0 THEN NEW.charged ELSE 0 END,
        spent = spent - CASE WHEN NEW.next_attempt_at IS NULL AND NEW.status IN (6, 10)
            AND NEW.attempts = 0 AND NEW.unsure = 0 AND OLD.begun = 0 THEN NEW.charged ELSE 0 END
    WHERE account = NEW.account;
    UPDATE sms SET charged = 0 WHERE id = NEW.id AND NEW.charged <> 0 AND NEW.next_attempt_at IS NULL
        AND NEW.status IN (6, 10) AND NEW.attempts = 0 AND NEW.unsure = 0 AND OLD.begun = 0;
END;

-- Who logged in, and who did what. Rows are added, and removed once they are old; nobody changes one.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT,
    account TEXT,
    event TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_account ON audit (account, at, id) WHERE account IS NOT NULL;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is append-only');
END;
