-- Columns are TEXT, BIGINT and INTEGER only, so that PostgreSQL's twin differs in little more than the keys.
-- Times are microseconds since 1970, UTC. INTEGER columns named like a question hold 0 or 1.

-- AUTOINCREMENT: the number of a removed account must never go to another one, its SMS are still here.
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    username TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    sandbox INTEGER NOT NULL
);

-- SMS to people; also the outbox.
CREATE TABLE sms (
    id INTEGER PRIMARY KEY NOT NULL,
    account BIGINT NOT NULL,
    transport TEXT NOT NULL,
    recipient TEXT NOT NULL,
    sender TEXT NOT NULL,
    message TEXT NOT NULL,
    status INTEGER NOT NULL,
    provider_said TEXT,
    provider_id TEXT,
    attempts INTEGER NOT NULL,
    delivered_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    give_up_at BIGINT NOT NULL,
    -- NULL: nothing left to do. While claimed: the end of the lease.
    next_attempt_at BIGINT,
    -- The node, and when it opened the outbox; NULL: nobody's.
    claimed_by TEXT,
    -- Attempts that may have been made and whose result nobody knows.
    unsure INTEGER NOT NULL
);
CREATE INDEX sms_due ON sms (transport, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX sms_changed ON sms (account, transport, updated_at DESC, id DESC);
CREATE INDEX sms_provider_id ON sms (transport, provider_id) WHERE provider_id IS NOT NULL;

CREATE TABLE sms_attempts (
    sms BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    at BIGINT NOT NULL,
    said TEXT NOT NULL,
    PRIMARY KEY (sms, attempt)
) WITHOUT ROWID;

-- `sms_ids`: numbers joined by commas, in the order of the request.
CREATE TABLE idempotency_keys (
    account BIGINT NOT NULL,
    key TEXT NOT NULL,
    request_digest TEXT NOT NULL,
    sms_ids TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (account, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

-- `named_sms` is what the receipt says, `sms` what it was matched with; `fields` is form-encoded.
CREATE TABLE receipts (
    id INTEGER PRIMARY KEY NOT NULL,
    account BIGINT NOT NULL,
    transport TEXT NOT NULL,
    sms BIGINT,
    named_sms BIGINT,
    provider_id TEXT,
    recipient TEXT,
    status INTEGER NOT NULL,
    at BIGINT,
    fields TEXT NOT NULL,
    received_at BIGINT NOT NULL
);
CREATE INDEX receipts_sms ON receipts (sms) WHERE sms IS NOT NULL;
CREATE INDEX receipts_unmatched ON receipts (transport, provider_id) WHERE sms IS NULL;

-- SMS from people. `route_at` is to routing what `next_attempt_at` is to sending.
CREATE TABLE received_sms (
    id INTEGER PRIMARY KEY NOT NULL,
    account BIGINT NOT NULL,
    transport TEXT NOT NULL,
    message_id TEXT NOT NULL UNIQUE,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    message TEXT NOT NULL,
    charset TEXT,
    provider_id TEXT,
    at BIGINT,
    outcome TEXT,
    reply BIGINT,
    route_at BIGINT,
    claimed_by TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX received_sms_provider_id ON received_sms (account, transport, provider_id)
    WHERE provider_id IS NOT NULL;
CREATE INDEX received_sms_due ON received_sms (route_at) WHERE route_at IS NOT NULL;

CREATE TABLE callbacks (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    account BIGINT NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX callbacks_account ON callbacks (account, name);

-- AUTOINCREMENT: the number is the `webhook-id` that clients tell a repeated post by.
CREATE TABLE callback_deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    callback BIGINT NOT NULL,
    name TEXT NOT NULL,
    sms BIGINT,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    -- NULL: arrived, or parked. While claimed: the end of the lease.
    next_attempt_at BIGINT,
    claimed_by TEXT,
    parked_at BIGINT
);
CREATE INDEX callback_deliveries_due ON callback_deliveries (callback, next_attempt_at)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX callback_deliveries_claimed ON callback_deliveries (callback, next_attempt_at)
    WHERE claimed_by IS NOT NULL;
CREATE INDEX callback_deliveries_parked ON callback_deliveries (parked_at, id) WHERE parked_at IS NOT NULL;
CREATE INDEX callback_deliveries_sms ON callback_deliveries (sms) WHERE sms IS NOT NULL;

CREATE TABLE callback_attempts (
    delivery BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    at BIGINT NOT NULL,
    http_status INTEGER,
    error TEXT,
    PRIMARY KEY (delivery, attempt)
) WITHOUT ROWID;

CREATE TABLE sessions (
    owner TEXT NOT NULL,
    person TEXT NOT NULL,
    address TEXT NOT NULL,
    last_message_id TEXT NOT NULL,
    state TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (owner, person)
) WITHOUT ROWID;

CREATE TABLE answers (
    campaign TEXT NOT NULL,
    person TEXT NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (campaign, person, question)
) WITHOUT ROWID;

-- How often each answer stands in `answers`: kept with it, in the same transaction.
CREATE TABLE answer_counts (
    campaign TEXT NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (campaign, question, answer)
) WITHOUT ROWID;
