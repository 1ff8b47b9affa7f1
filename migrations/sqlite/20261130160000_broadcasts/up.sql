-- A text for many people, line by line. `lines`: how many there are, known from its start on; `taken`: how many of them are SMS
-- of the ledger, or were refused. Lines are numbered from 1.
CREATE TABLE broadcasts (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    account BIGINT NOT NULL,
    username TEXT NOT NULL,
    name TEXT NOT NULL,
    template TEXT NOT NULL,
    transport TEXT,
    sender TEXT NOT NULL,
    -- SMS a second; NULL: no limit.
    pace INTEGER,
    state TEXT NOT NULL,
    lines BIGINT,
    loaded BIGINT NOT NULL,
    taken BIGINT NOT NULL,
    accepted BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    why TEXT,
    -- When the next lines are taken; NULL: none are.
    next_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX broadcasts_name ON broadcasts (account, name);
CREATE INDEX broadcasts_due ON broadcasts (next_at) WHERE next_at IS NOT NULL;

-- Lines that were not taken yet, up to 100 in a row: JSON, [[line, recipient, text], ...].
CREATE TABLE broadcast_chunks (
    broadcast BIGINT NOT NULL,
    last_line BIGINT NOT NULL,
    lines TEXT NOT NULL,
    PRIMARY KEY (broadcast, last_line)
) WITHOUT ROWID;

-- Lines that became no SMS.
CREATE TABLE broadcast_refusals (
    broadcast BIGINT NOT NULL,
    line BIGINT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (broadcast, line)
) WITHOUT ROWID;
