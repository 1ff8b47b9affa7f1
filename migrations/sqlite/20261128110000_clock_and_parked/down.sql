DROP INDEX callbacks_dropped;
ALTER TABLE callbacks DROP COLUMN dropped;
ALTER TABLE ledger_clock DROP COLUMN seen_wall;
