-- How posts are written: `form` or `json`; of a delivery, how its body is.
ALTER TABLE callbacks ADD COLUMN format TEXT NOT NULL DEFAULT 'form';
-- Since when nothing was delivered; NULL: the last post arrived, or there was none.
ALTER TABLE callbacks ADD COLUMN failing_since BIGINT;
-- Nothing is posted until the client changes it. NULL: enabled.
ALTER TABLE callbacks ADD COLUMN disabled_at BIGINT;
ALTER TABLE callbacks ADD COLUMN disabled_because TEXT;
ALTER TABLE callback_deliveries ADD COLUMN format TEXT NOT NULL DEFAULT 'form';
CREATE INDEX callbacks_disabled ON callbacks (disabled_at, id) WHERE disabled_at IS NOT NULL;
CREATE INDEX callback_deliveries_parked_of ON callback_deliveries (callback, parked_at) WHERE parked_at IS NOT NULL;
