DROP TABLE broadcast_refusals;
DROP TABLE broadcast_chunks;
DROP TABLE broadcasts;
