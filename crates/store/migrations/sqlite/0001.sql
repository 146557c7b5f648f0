-- Times are milliseconds since 1970-01-01T00:00:00Z; fingerprints are their raw bytes. docs/data-model.md says more.

CREATE TABLE services (
    service   TEXT    NOT NULL PRIMARY KEY,
    last_seen INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE timespans (
    service    TEXT    NOT NULL,
    first_seen INTEGER NOT NULL,
    leaf       BLOB    NOT NULL CHECK (length(leaf) = 32),
    proved     INTEGER NOT NULL CHECK (proved IN (0, 1)),
    last_seen  INTEGER NOT NULL CHECK (last_seen >= first_seen),
    key        BLOB    NOT NULL CHECK (length(key) = 32),
    leaf_md5   BLOB             CHECK (length(leaf_md5) = 16),
    issuer_key BLOB             CHECK (length(issuer_key) = 32),
    ca_id      TEXT    NOT NULL,
    networks   TEXT    NOT NULL,
    PRIMARY KEY (service, first_seen, leaf, proved)
) STRICT, WITHOUT ROWID;

CREATE TABLE authority (
    service    TEXT    NOT NULL,
    first_seen INTEGER NOT NULL,
    ca         BLOB    NOT NULL CHECK (length(ca) % 32 = 0),
    leaf       BLOB    NOT NULL CHECK (length(leaf) % 32 = 0),
    last_seen  INTEGER NOT NULL CHECK (last_seen >= first_seen),
    PRIMARY KEY (service, first_seen, ca, leaf)
) STRICT, WITHOUT ROWID;

-- The rows of these two are long: without a rowid, each above 1,002 bytes would spill into a page of its own.

CREATE TABLE latest (
    service TEXT    NOT NULL PRIMARY KEY,
    at      INTEGER NOT NULL,
    look    TEXT    NOT NULL
) STRICT;

CREATE TABLE records (
    namespace TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    version   INTEGER NOT NULL CHECK (version > 0),
    bytes     BLOB    NOT NULL,
    PRIMARY KEY (namespace, key)
) STRICT;
