-- As a DBA: the owner of the tables. Choose password and tablespace.

CREATE USER archive IDENTIFIED BY "..." DEFAULT TABLESPACE users QUOTA UNLIMITED ON users;

GRANT CREATE SESSION TO archive;

-- Only if the archive is to make its tables itself; partitions come without it, for the quota is enough.

GRANT CREATE TABLE TO archive;

-- As the owner: the tables. Times are nanoseconds since 1970-01-01 UTC. A table that is there already
-- is left alone: add TABLESPACE, INITRANS or STORE IN as you see fit.

CREATE TABLE forebay_archive (
    id INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    generation NUMBER(19) NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE forebay_element (
    id INTEGER NOT NULL,
    name VARCHAR2(1024 CHAR) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT forebay_element_name UNIQUE (name)
);

CREATE TABLE forebay_position (
    stream VARCHAR2(1024 CHAR) NOT NULL,
    last_offset NUMBER(19) NOT NULL,
    PRIMARY KEY (stream)
);

CREATE TABLE forebay_segment (
    archive_group VARCHAR2(1024 CHAR) NOT NULL,
    start_time NUMBER(19) NOT NULL,
    end_time NUMBER(19) NOT NULL,
    row_count NUMBER(19) NOT NULL,
    first_time NUMBER(19),
    last_time NUMBER(19),
    PRIMARY KEY (archive_group, start_time)
);

CREATE GLOBAL TEMPORARY TABLE forebay_staging (
    element_id INTEGER NOT NULL,
    source_time NUMBER(19) NOT NULL,
    sequence INTEGER,
    receive_time NUMBER(19),
    status NUMBER(19),
    kind SMALLINT,
    float_value BINARY_DOUBLE,
    int_value NUMBER(19),
    text_value VARCHAR2(4000 CHAR),
    bytes_value BLOB
)
 ON COMMIT DELETE ROWS;

CREATE TABLE forebay_landing (
    element_id INTEGER NOT NULL,
    source_time NUMBER(19) NOT NULL,
    sequence INTEGER,
    receive_time NUMBER(19),
    status NUMBER(19),
    kind SMALLINT,
    float_value BINARY_DOUBLE,
    int_value NUMBER(19),
    text_value VARCHAR2(4000 CHAR),
    bytes_value BLOB
)
PCTFREE 0 NOLOGGING;

CREATE TABLE forebay_samples_slow (
    element_id INTEGER NOT NULL,
    source_time NUMBER(19) NOT NULL,
    sequence INTEGER NOT NULL,
    receive_time NUMBER(19) NOT NULL,
    status NUMBER(19) NOT NULL,
    kind SMALLINT NOT NULL,
    float_value BINARY_DOUBLE,
    int_value NUMBER(19),
    text_value VARCHAR2(4000 CHAR),
    bytes_value BLOB,
    PRIMARY KEY (element_id, source_time, sequence, receive_time) USING INDEX LOCAL COMPRESS 1
)
PCTFREE 0
PARTITION BY RANGE (source_time) INTERVAL (86400000000000)
(PARTITION before_epoch VALUES LESS THAN (0));

CREATE TABLE forebay_latest_slow (
    element_id INTEGER NOT NULL,
    source_time NUMBER(19) NOT NULL,
    sequence INTEGER NOT NULL,
    receive_time NUMBER(19) NOT NULL,
    status NUMBER(19) NOT NULL,
    kind SMALLINT NOT NULL,
    float_value BINARY_DOUBLE,
    int_value NUMBER(19),
    text_value VARCHAR2(4000 CHAR),
    bytes_value BLOB,
    PRIMARY KEY (element_id)
)
PCTFREE 50;

CREATE TABLE forebay_samples_fast_1_5964ea19 (
    element_id INTEGER NOT NULL,
    source_time NUMBER(19) NOT NULL,
    sequence INTEGER NOT NULL,
    receive_time NUMBER(19) NOT NULL,
    status NUMBER(19) NOT NULL,
    kind SMALLINT NOT NULL,
    float_value BINARY_DOUBLE,
    int_value NUMBER(19),
    text_value VARCHAR2(4000 CHAR),
    bytes_value BLOB,
    PRIMARY KEY (element_id, source_time, sequence, receive_time) USING INDEX LOCAL COMPRESS 1
)
PCTFREE 0
PARTITION BY RANGE (source_time) INTERVAL (3600000000000)
(PARTITION before_epoch VALUES LESS THAN (0));

CREATE TABLE forebay_latest_fast_1_5964ea19 (
    element_id INTEGER NOT NULL,
    source_time NUMBER(19) NOT NULL,
    sequence INTEGER NOT NULL,
    receive_time NUMBER(19) NOT NULL,
    status NUMBER(19) NOT NULL,
    kind SMALLINT NOT NULL,
    float_value BINARY_DOUBLE,
    int_value NUMBER(19),
    text_value VARCHAR2(4000 CHAR),
    bytes_value BLOB,
    PRIMARY KEY (element_id)
)
PCTFREE 50;

-- As a DBA: a role for those who read the tables themselves. Nobody else is to write to them.

CREATE ROLE archive_reader;

GRANT SELECT ON archive.forebay_element TO archive_reader;
GRANT SELECT ON archive.forebay_segment TO archive_reader;
GRANT SELECT ON archive.forebay_samples_slow TO archive_reader;
GRANT SELECT ON archive.forebay_latest_slow TO archive_reader;
GRANT SELECT ON archive.forebay_samples_fast_1_5964ea19 TO archive_reader;
GRANT SELECT ON archive.forebay_latest_fast_1_5964ea19 TO archive_reader;

-- What the archive runs when a segment is older than its group keeps it.

-- Group slow keeps samples for 30d; a partition holds 1d.

-- ALTER TABLE forebay_samples_slow DROP PARTITION FOR (86400000000000) UPDATE INDEXES;

-- Group Fast-1 keeps samples for ever; a partition holds 1h.
