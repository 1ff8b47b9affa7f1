DROP INDEX received_parts_due;
ALTER TABLE received_parts DROP COLUMN due_at;
ALTER TABLE received_sms DROP COLUMN incomplete;
