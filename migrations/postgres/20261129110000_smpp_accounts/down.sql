ALTER TABLE accounts DROP COLUMN smpp_binds;
ALTER TABLE accounts DROP COLUMN smpp_hash;
