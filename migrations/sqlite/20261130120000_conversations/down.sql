DROP TABLE conversation_changes;
DROP TABLE conversation_versions;
DROP TABLE conversations;
ALTER TABLE accounts DROP COLUMN codes;
