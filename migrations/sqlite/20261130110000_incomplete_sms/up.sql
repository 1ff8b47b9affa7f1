-- An SMS from a person that was handed on without some of its parts; and when a part is handed on without the others. NULL: as
-- the settings of the process that sweeps say.
ALTER TABLE received_sms ADD COLUMN incomplete INTEGER NOT NULL DEFAULT 0;
ALTER TABLE received_parts ADD COLUMN due_at BIGINT;
CREATE INDEX received_parts_due ON received_parts (due_at, id) WHERE received IS NULL AND due_at IS NOT NULL;
