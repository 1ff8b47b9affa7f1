ALTER TABLE received_sms DROP COLUMN consent;
ALTER TABLE sms DROP COLUMN occasion;
DROP TABLE consent_now;
DROP TABLE consent;
