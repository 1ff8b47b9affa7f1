ALTER TABLE received_sms DROP COLUMN text_removed_at;
ALTER TABLE sms DROP COLUMN text_removed_at;
DROP TABLE expanding_migrations;
DROP INDEX received_sms_changed;
DROP TABLE retention_progress;
