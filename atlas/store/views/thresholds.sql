-- Thresholds as the list of one definition: what the `..._at` macros hand to the `..._of` macros. What a threshold cannot
-- be is an error in place of the whole list, which every query has to unpack.
CREATE OR REPLACE MACRO thresholds(
    tau := 0.2,
    tau_by_language := MAP {},
    share := 0.5,
    min_languages := NULL,
    normalization := 'none',
    t_low := 0.2,
    t_high := 0.25,
    absolute := false,
    strict := false,
    relation_share := 0.7,
    least := NULL,
    known := false,
    replace := 'zero'
) AS CASE
    WHEN tau IS NOT NULL AND share IS NOT NULL AND t_low IS NOT NULL AND t_high IS NOT NULL
        AND relation_share IS NOT NULL AND normalization IN ('none', 'layer') AND replace IN ('zero', 'mean', 'swap')
    THEN [{
    definition: 'at',
    tau: tau::DOUBLE,
    tau_by_language: tau_by_language::MAP(VARCHAR, DOUBLE),
    share: share::DOUBLE,
    min_languages: min_languages::INTEGER,
    normalization: normalization::VARCHAR,
    t_low: t_low::DOUBLE,
    t_high: t_high::DOUBLE,
    absolute: absolute::BOOLEAN,
    strict: strict::BOOLEAN,
    relation_share: relation_share::DOUBLE,
    least: least::DOUBLE,
    known: known::BOOLEAN,
    replace: replace::VARCHAR,
    run: NULL::BIGINT,
    sources: NULL::BIGINT[],
    facts: NULL::BIGINT[]
}] ELSE error(concat(
    'tau ''', tau, ''', share ''', share, ''', t_low ''', t_low, ''', t_high ''', t_high, ''', relation_share ''',
    relation_share, ''', normalization ''', normalization, ''' and replace ''', replace, ''' are no thresholds: tau is a '
    'share, the next four are numbers, normalization is none or layer, and replace is zero, mean or swap'
)) END;
