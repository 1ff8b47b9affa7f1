DROP TABLE ledger_clock;
ALTER TABLE sms DROP COLUMN begun;
