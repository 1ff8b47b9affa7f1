DROP INDEX received_sms_unowned;
ALTER TABLE accounts DROP COLUMN roles;
