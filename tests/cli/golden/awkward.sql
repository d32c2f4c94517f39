SELECT *
FROM (VALUES
    (1, NULL::DOUBLE, 0.1::FLOAT, 'plain', TIMESTAMP '2024-01-02 03:04:05', [1, 2]),
    (2, 'nan'::DOUBLE, -0.0::FLOAT, 'عاصمة فرنسا', TIMESTAMP '2024-01-02 03:04:05.678901', []),
    (3, 'infinity'::DOUBLE, 16777216::FLOAT, '法国的首都，', NULL, NULL),
    (4, '-infinity'::DOUBLE, 1e-30::FLOAT, 'two' || chr(10) || 'lines', NULL, [NULL]),
    (5, -0.0::DOUBLE, 'nan'::FLOAT, 'a "quote", a comma, a | bar and a \ slash', NULL, [3]),
    (6, 0.1::DOUBLE + 0.2::DOUBLE, 3.4028235e38::FLOAT, '', NULL, [4]),
    (7, 1e300, NULL, NULL, NULL, [5]),
    (9223372036854775807, 5e-324, 1.5, ' padded' || chr(9), NULL, [6]),
    (-1, 100.0, 2.5, 'escape ' || chr(27) || '[31m and turn ' || chr(8238) || 'back', NULL, [7])
) AS awkward(id, "double", "float", "text", moment, "list"),
(VALUES
    (170141183460469231731687303715884105727::HUGEINT, 1.10::DECIMAL(5, 2), DATE '2024-02-29', true,
     'ab'::BLOB, {'label': '意味', 'score': 0.1::FLOAT}, MAP {'en': 0.5}, INTERVAL '1 month 2 days 3 seconds')
) AS same(huge, money, day, flag, bytes, struct, map, span)
ORDER BY id
