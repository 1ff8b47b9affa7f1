-- The machine's clock when the ledger's time was last written: the next start of the machine knows by it how far that
-- time was from the right one. NULL: a version wrote it that did not say.
ALTER TABLE ledger_clock ADD COLUMN seen_wall BIGINT;

-- Parked deliveries of the callback that were deleted since too many were parked.
ALTER TABLE callbacks ADD COLUMN dropped BIGINT NOT NULL DEFAULT 0;
CREATE INDEX callbacks_dropped ON callbacks (id) WHERE dropped > 0;
