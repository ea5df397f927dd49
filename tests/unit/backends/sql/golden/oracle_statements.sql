SELECT generation FROM forebay_archive FOR UPDATE WAIT 30;

INSERT INTO forebay_samples_slow (element_id, source_time, sequence, receive_time, status, kind, float_value) VALUES (:1, :2, :3, :4, :5, :6, :7);

INSERT INTO forebay_staging (element_id, source_time) VALUES (:1, :2);

MERGE INTO forebay_samples_slow t USING forebay_landing s ON (t.element_id = s.element_id AND t.source_time = s.source_time AND t.sequence = s.sequence AND t.receive_time = s.receive_time) WHEN NOT MATCHED THEN INSERT (element_id, source_time, sequence, receive_time, status, kind, float_value, int_value, text_value, bytes_value) VALUES (s.element_id, s.source_time, s.sequence, s.receive_time, s.status, s.kind, s.float_value, s.int_value, s.text_value, s.bytes_value);

MERGE INTO forebay_latest_slow t USING forebay_staging s ON (t.element_id = s.element_id) WHEN MATCHED THEN UPDATE SET source_time = s.source_time, sequence = s.sequence, receive_time = s.receive_time, status = s.status, kind = s.kind, float_value = s.float_value, int_value = s.int_value, text_value = s.text_value, bytes_value = s.bytes_value WHERE (s.source_time > t.source_time) OR (s.source_time = t.source_time AND s.sequence > t.sequence) OR (s.source_time = t.source_time AND s.sequence = t.sequence AND s.receive_time > t.receive_time) WHEN NOT MATCHED THEN INSERT (element_id, source_time, sequence, receive_time, status, kind, float_value, int_value, text_value, bytes_value) VALUES (s.element_id, s.source_time, s.sequence, s.receive_time, s.status, s.kind, s.float_value, s.int_value, s.text_value, s.bytes_value);

SELECT element_id, source_time, sequence, receive_time, status, kind, float_value, int_value, text_value, bytes_value FROM forebay_samples_slow WHERE element_id = :id AND source_time >= :first AND source_time < :last ORDER BY source_time, sequence, receive_time;

SELECT element_id, source_time, sequence, receive_time, status, kind, float_value, int_value, text_value, bytes_value FROM (SELECT element_id, source_time, sequence, receive_time, status, kind, float_value, int_value, text_value, bytes_value FROM forebay_samples_slow WHERE element_id = :id AND source_time >= :first AND source_time < :last UNION ALL SELECT element_id, source_time, sequence, receive_time, status, kind, float_value, int_value, text_value, bytes_value FROM forebay_samples_fast_1_5964ea19 WHERE element_id = :id AND source_time >= :first AND source_time < :last) ORDER BY source_time, sequence, receive_time;

SELECT element_id, source_time, sequence, receive_time, status, kind, float_value, int_value, text_value, bytes_value FROM (SELECT /*+ LEADING(ids) USE_NL(s) INDEX(s) */ place, s.element_id, s.source_time, s.sequence, s.receive_time, s.status, s.kind, s.float_value, s.int_value, s.text_value, s.bytes_value FROM (SELECT CAST(:id0 AS NUMBER(10)) AS id, 0 AS place FROM dual UNION ALL SELECT CAST(:id1 AS NUMBER(10)) AS id, 1 AS place FROM dual) ids JOIN forebay_samples_slow s ON s.element_id = ids.id WHERE s.source_time >= :first AND s.source_time < :last) ORDER BY place, source_time, sequence, receive_time;

SELECT element_id, source_time, sequence, receive_time, status, kind, float_value, int_value, text_value, bytes_value FROM (SELECT /*+ LEADING(ids) USE_NL(s) INDEX(s) */ place, s.element_id, s.source_time, s.sequence, s.receive_time, s.status, s.kind, s.float_value, s.int_value, s.text_value, s.bytes_value FROM (SELECT CAST(:id0 AS NUMBER(10)) AS id, 0 AS place FROM dual) ids JOIN forebay_samples_slow s ON s.element_id = ids.id WHERE s.source_time >= :first AND s.source_time < :last UNION ALL SELECT /*+ LEADING(ids) USE_NL(s) INDEX(s) */ place, s.element_id, s.source_time, s.sequence, s.receive_time, s.status, s.kind, s.float_value, s.int_value, s.text_value, s.bytes_value FROM (SELECT CAST(:id0 AS NUMBER(10)) AS id, 0 AS place FROM dual) ids JOIN forebay_samples_fast_1_5964ea19 s ON s.element_id = ids.id WHERE s.source_time >= :first AND s.source_time < :last) ORDER BY place, source_time, sequence, receive_time;

SELECT /*+ LEADING(i) USE_NL(s) INDEX(s) */ s.element_id, s.source_time, s.sequence, s.receive_time, s.status, s.kind, s.float_value, s.int_value, s.text_value, s.bytes_value FROM forebay_staging i JOIN forebay_samples_slow s ON s.element_id = i.element_id AND s.source_time = i.source_time WHERE s.source_time BETWEEN :first AND :last;

SELECT * FROM (SELECT element_id, source_time, sequence, receive_time, status, kind, float_value, int_value, text_value, bytes_value FROM forebay_samples_slow WHERE element_id = :id0 AND source_time < :time AND receive_time <= :known ORDER BY source_time DESC, sequence DESC, receive_time DESC) WHERE ROWNUM = 1 UNION ALL SELECT * FROM (SELECT element_id, source_time, sequence, receive_time, status, kind, float_value, int_value, text_value, bytes_value FROM forebay_samples_slow WHERE element_id = :id1 AND source_time < :time AND receive_time <= :known ORDER BY source_time DESC, sequence DESC, receive_time DESC) WHERE ROWNUM = 1;

SELECT element_id, bucket, flags, kind, COUNT(*) AS samples, COUNT(DISTINCT source_time) AS instants, COUNT(float_value) AS floats, MIN(float_value) AS least, MAX(float_value) AS greatest, COALESCE(MIN(int_value), 0) AS least_int, COALESCE(MAX(int_value), 0) AS greatest_int, 0 AS minus_zeros, SUM(float_value) AS total, SUM(CAST(int_value AS BINARY_DOUBLE)) AS int_total, MIN(source_time) AS first_time, MAX(source_time) AS last_time FROM (SELECT element_id, source_time, kind, float_value, int_value, FLOOR((source_time - :origin) / :width) AS bucket, BITAND(status, 216172782113914984) AS flags FROM forebay_samples_slow WHERE element_id = ANY (:id0, :id1) AND source_time >= :first AND source_time < :last) s GROUP BY element_id, bucket, flags, kind;

SELECT element_id, COUNT(*) AS samples, COUNT(DISTINCT source_time) AS instants FROM forebay_samples_slow WHERE element_id = ANY (:id0) AND source_time >= :first AND source_time < :last GROUP BY element_id;

ALTER TABLE forebay_samples_slow DROP PARTITION FOR (432000000000000) UPDATE INDEXES;

DELETE FROM forebay_samples_slow WHERE source_time >= -1 AND source_time < 5;

DELETE FROM forebay_samples_slow WHERE source_time >= 5;

SELECT interval FROM user_part_tables WHERE table_name = :name;

SELECT p.high_value, s.bytes FROM user_tab_partitions p JOIN user_segments s ON s.segment_name = p.table_name AND s.partition_name = p.partition_name WHERE p.table_name = :name;
