-- What waits at a transport and may go to another one of its route.
CREATE INDEX sms_routed_waiting ON sms (transport, route, next_attempt_at, id)
    WHERE route IS NOT NULL AND next_attempt_at IS NOT NULL;

-- How transports are in each process; `at` is when that process last said so.
CREATE TABLE transport_beats (
    node TEXT COLLATE "C" NOT NULL,
    transport TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    -- NULL: it does not run there.
    sendability INTEGER,
    wants_probe INTEGER NOT NULL,
    -- SMS that the provider took, and SMS of which a receipt came, since the process started.
    submitted BIGINT NOT NULL,
    receipts BIGINT NOT NULL,
    PRIMARY KEY (node, transport)
);
