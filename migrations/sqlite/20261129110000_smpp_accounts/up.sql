-- The password with which an account's ESMEs bind (Argon2id, in PHC form), and how many may at once.
ALTER TABLE accounts ADD COLUMN smpp_hash TEXT;
ALTER TABLE accounts ADD COLUMN smpp_binds INTEGER;
