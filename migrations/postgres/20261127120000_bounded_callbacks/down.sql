DROP INDEX callback_deliveries_parked_of;
DROP INDEX callbacks_disabled;
ALTER TABLE callback_deliveries DROP COLUMN format;
ALTER TABLE callbacks DROP COLUMN disabled_because;
ALTER TABLE callbacks DROP COLUMN disabled_at;
ALTER TABLE callbacks DROP COLUMN failing_since;
ALTER TABLE callbacks DROP COLUMN format;
