DROP INDEX receipts_unmatched_folded;
ALTER TABLE receipts DROP COLUMN folded_id;
DROP INDEX sms_parts_folded_id;
ALTER TABLE sms_parts DROP COLUMN must_report;
ALTER TABLE sms_parts DROP COLUMN taken;
ALTER TABLE sms_parts DROP COLUMN folded_id;
