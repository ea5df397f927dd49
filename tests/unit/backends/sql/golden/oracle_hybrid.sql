-- As a DBA: days of the lake as external partitions, from Oracle 21c on (driver ORACLE_BIGDATA).
-- The server must see the folder of the lake. Compaction replaces the files of a day: print this again, and use
-- ALTER TABLE ... MODIFY PARTITION ... LOCATION for a day that has changed. The partition `hot` is in the database, for
-- what you take back. Rows are versions: of those that are equal in element, source_time and sequence, the one with the
-- greatest receive_time is valid. Arrays and binary values are left out.

CREATE DIRECTORY forebay_hybrid_slow_0 AS '/lake/it''s/bucket=0';

CREATE DIRECTORY forebay_hybrid_slow_1 AS '/lake/it''s/bucket=1';

CREATE DIRECTORY forebay_hybrid_slow_2 AS '/lake/group=slow/day=2026-01-02/bucket=0';

CREATE TABLE forebay_hybrid_slow (
    element VARCHAR2(4000),
    source_time NUMBER(19),
    sequence NUMBER(10),
    receive_time NUMBER(19),
    status NUMBER(19),
    float_value BINARY_DOUBLE,
    int_value NUMBER(19),
    uint_value NUMBER(20),
    bool_value NUMBER(1),
    enum_value NUMBER(10),
    text_value VARCHAR2(4000)
)
EXTERNAL PARTITION ATTRIBUTES (
    TYPE ORACLE_BIGDATA
    DEFAULT DIRECTORY forebay_hybrid_slow_0
    ACCESS PARAMETERS (
        com.oracle.bigdata.fileformat = parquet
        com.oracle.bigdata.colmap = [{"col": "FLOAT_VALUE", "field": "float"}, {"col": "INT_VALUE", "field": "int"}, {"col": "UINT_VALUE", "field": "uint"}, {"col": "BOOL_VALUE", "field": "bool"}, {"col": "ENUM_VALUE", "field": "enum"}, {"col": "TEXT_VALUE", "field": "text"}]
    )
    REJECT LIMIT 0
)
PARTITION BY RANGE (source_time) (
    PARTITION d20260101 VALUES LESS THAN (1767312000000000000) EXTERNAL LOCATION (forebay_hybrid_slow_0:'c.parquet', forebay_hybrid_slow_1:'d.parquet'),
    PARTITION d20260102 VALUES LESS THAN (1767398400000000000) EXTERNAL LOCATION (forebay_hybrid_slow_2:'a.parquet', forebay_hybrid_slow_2:'b.parquet'),
    PARTITION hot VALUES LESS THAN (MAXVALUE)
);

CREATE OR REPLACE VIEW forebay_view_slow (element, source_time, sequence, receive_time, status, float_value, int_value, uint_value, bool_value, enum_value, text_value) AS
SELECT e.name, s.source_time, s.sequence, s.receive_time, s.status,
    CASE WHEN s.kind = 1 THEN s.float_value END,
    CASE WHEN s.kind = 2 THEN s.int_value END,
    CASE WHEN s.kind = 3 THEN s.int_value + CASE WHEN s.int_value < 0 THEN 18446744073709551616 ELSE 0 END END,
    CASE WHEN s.kind = 4 THEN s.int_value END,
    CASE WHEN s.kind = 7 THEN s.int_value END,
    CASE WHEN s.kind = 5 THEN s.text_value END
FROM forebay_samples_slow s JOIN forebay_element e ON e.id = s.element_id WHERE s.source_time >= 1767398400000000000
UNION ALL
SELECT element, source_time, sequence, receive_time, status, float_value, int_value, uint_value, bool_value, enum_value, text_value
FROM forebay_hybrid_slow WHERE source_time < 1767398400000000000;
