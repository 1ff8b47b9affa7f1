-- Parts that a transport submitted itself. `taken`: the provider has it, it is not submitted again. `must_report`: the SMS is
-- delivered only when this part is. `folded_id`: the id in small letters without leading zeros, where that differs from it.
ALTER TABLE sms_parts ADD COLUMN folded_id TEXT;
ALTER TABLE sms_parts ADD COLUMN taken INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sms_parts ADD COLUMN must_report INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sms_parts_folded_id ON sms_parts (transport, folded_id, sms) WHERE folded_id IS NOT NULL;

-- A receipt that came before the answer, whose id the answer may write otherwise.
ALTER TABLE receipts ADD COLUMN folded_id TEXT;
CREATE INDEX receipts_unmatched_folded ON receipts (transport, folded_id) WHERE sms IS NULL AND folded_id IS NOT NULL;
