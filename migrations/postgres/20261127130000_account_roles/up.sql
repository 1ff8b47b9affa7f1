-- `client`, `carrier` or both, joined by a comma. Accounts that are here could do both, and their carriers go on calling the
-- webhooks until the operator has taken the role from them (`vumi account role`).
ALTER TABLE accounts ADD COLUMN roles TEXT COLLATE "C" NOT NULL DEFAULT 'client';
UPDATE accounts SET roles = 'client,carrier';

-- SMS from people whose account nobody has named yet have account 0, and wait for it.
CREATE INDEX received_sms_unowned ON received_sms (id) WHERE account = 0;
