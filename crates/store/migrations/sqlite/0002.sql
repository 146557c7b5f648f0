-- Turns back to a certificate whose span went on, oldest first: 8 bytes of milliseconds (big-endian) and the leaf each.

ALTER TABLE services ADD COLUMN turns BLOB NOT NULL DEFAULT x'' CHECK (length(turns) % 40 = 0);
