-- A receipt belongs to its SMS, whoever brought it. `digest` is of all that it says; NULL in rows from before.
ALTER TABLE receipts DROP COLUMN account;
ALTER TABLE receipts ADD COLUMN part INTEGER;
ALTER TABLE receipts ADD COLUMN provider_status TEXT;
ALTER TABLE receipts ADD COLUMN digest TEXT;
CREATE UNIQUE INDEX receipts_digest ON receipts (sms, digest) WHERE sms IS NOT NULL;
CREATE UNIQUE INDEX receipts_unmatched_digest ON receipts (transport, digest) WHERE sms IS NULL;
CREATE INDEX receipts_unmatched_age ON receipts (received_at, id) WHERE sms IS NULL;

-- The parts of a sent SMS of which a provider or carrier says something by themselves.
CREATE TABLE sms_parts (
    sms BIGINT NOT NULL,
    part INTEGER NOT NULL,
    transport TEXT NOT NULL,
    provider_id TEXT,
    status INTEGER NOT NULL,
    PRIMARY KEY (sms, part)
) WITHOUT ROWID;
CREATE INDEX sms_parts_provider_id ON sms_parts (transport, provider_id, sms) WHERE provider_id IS NOT NULL;

-- Parts of SMS from people. `received` is the SMS that a part became a part of; NULL: it waits for the others.
CREATE TABLE received_parts (
    id INTEGER PRIMARY KEY NOT NULL,
    account BIGINT NOT NULL,
    transport TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    reference TEXT NOT NULL,
    total INTEGER NOT NULL,
    part INTEGER NOT NULL,
    message TEXT NOT NULL,
    charset TEXT,
    provider_id TEXT,
    at BIGINT,
    created_at BIGINT NOT NULL,
    received BIGINT
);
CREATE INDEX received_parts_set ON received_parts (transport, sender, recipient, reference, total, part, id);
CREATE INDEX received_parts_waiting ON received_parts (created_at, id) WHERE received IS NULL;
CREATE INDEX received_parts_joined ON received_parts (created_at, id) WHERE received IS NOT NULL;
