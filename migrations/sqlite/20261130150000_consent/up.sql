-- The ledger of consent: rows are added, and never changed or removed. An empty scope is every sender.
CREATE TABLE consent (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    msisdn TEXT NOT NULL,
    scope TEXT NOT NULL,
    is_out INTEGER NOT NULL,
    at BIGINT NOT NULL,
    written_by TEXT NOT NULL,
    words TEXT NOT NULL
);
CREATE INDEX consent_person ON consent (msisdn, id);

-- What of it counts now. A row of one sender is newer than the person's row of all.
CREATE TABLE consent_now (
    msisdn TEXT NOT NULL,
    scope TEXT NOT NULL,
    is_out INTEGER NOT NULL,
    consent BIGINT NOT NULL,
    PRIMARY KEY (msisdn, scope)
) WITHOUT ROWID;

-- What an SMS is sent for: 0 unasked, 1 an answer, 2 an answer about consent itself.
ALTER TABLE sms ADD COLUMN occasion INTEGER NOT NULL DEFAULT 0;
-- What an SMS from a person said of consent, if it did.
ALTER TABLE received_sms ADD COLUMN consent TEXT;
