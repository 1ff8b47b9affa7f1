-- The codes that an account may use for its conversations: `any`, `none`, or one a line; empty: nothing was said.
ALTER TABLE accounts ADD COLUMN codes TEXT NOT NULL DEFAULT '';

-- Menus that accounts post. `version`: the one that new dialogues begin with.
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    account BIGINT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    ussd TEXT,
    sms TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX conversations_name ON conversations (account, name);
CREATE UNIQUE INDEX conversations_ussd ON conversations (ussd);
CREATE UNIQUE INDEX conversations_sms ON conversations (sms);

CREATE TABLE conversation_versions (
    conversation BIGINT NOT NULL,
    version BIGINT NOT NULL,
    text TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (conversation, version)
);

-- One row: how often a conversation was changed. Processes look whether what they remember still holds.
CREATE TABLE conversation_changes (
    id BIGINT PRIMARY KEY NOT NULL,
    changes BIGINT NOT NULL
);
