-- How far old texts and rows were removed. `what` names the task; account and transport are those of the rows where these are
-- walked through apart, else 0 and empty. Everything up to (`updated_at`, `id`) that had come to rest was dealt with.
CREATE TABLE retention_progress (
    what TEXT COLLATE "C" NOT NULL,
    account BIGINT NOT NULL,
    transport TEXT COLLATE "C" NOT NULL,
    updated_at BIGINT NOT NULL,
    id BIGINT NOT NULL,
    PRIMARY KEY (what, account, transport)
);

-- As `sms_changed` is for SMS to people. Not by account first: SQLite would take it for `received_sms_unowned`.
CREATE INDEX received_sms_changed ON received_sms (transport, account, updated_at DESC, id DESC);

-- Migrations that a vumi which does not know them can live with: it goes on with this database. See migrations/README.md.
CREATE TABLE expanding_migrations (
    version TEXT COLLATE "C" PRIMARY KEY NOT NULL
);

-- When the text was taken out of the row, by retention or because its person was to be forgotten. NULL: it is there.
ALTER TABLE sms ADD COLUMN text_removed_at BIGINT;
ALTER TABLE received_sms ADD COLUMN text_removed_at BIGINT;
