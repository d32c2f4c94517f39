-- Degenerate knowledge neurons of a fact in a language (METHOD 3, Eq. 9-10): sets where zeroing any proper subset
-- costs at most `t_low` and zeroing the whole costs more than `t_high`; `strict` asks for interaction > 0 too.
-- A drop is the mean over the prompts that the set was measured on. The candidates are those that were measured.

-- The drop of every measured set; `codes` names its neurons in order.
CREATE OR REPLACE MACRO drop_of(definitions, controls) AS TABLE
SELECT
    chosen.d.definition AS definition, knocked.run, knocked.fact, knocked.language, knocked.codes,
    count(*)::INTEGER AS prompts,
    avg(CASE
        WHEN chosen.d.absolute THEN knocked.before - knocked.after
        ELSE (knocked.before - knocked.after) / nullif(knocked.before, 0)
    END) AS cost
FROM (
    SELECT
        k.run, prompt.fact, prompt.language, k.before, k.after,
        list_sort(list_transform(list_zip(k.layers, k.neurons), lambda n: (n[1]::BIGINT << 32) + n[2])) AS codes
    FROM knockout AS k JOIN prompt USING (prompt)
    WHERE k.control = controls
) AS knocked
CROSS JOIN (SELECT unnest(definitions) AS d) AS chosen
GROUP BY chosen.d.definition, knocked.run, knocked.fact, knocked.language, knocked.codes;

CREATE OR REPLACE MACRO dkn_of(definitions, controls) AS TABLE
WITH whole AS (
    SELECT m.*, chosen.d.t_low AS low, chosen.d.strict AS asks_interaction
    FROM drop_of(definitions, controls) AS m
    JOIN (SELECT unnest(definitions) AS d) AS chosen ON chosen.d.definition = m.definition
    WHERE len(m.codes) > 1 AND m.cost > chosen.d.t_high
),
part AS (
    SELECT whole.*, unnest(list_transform(
        range(1, (1 << len(codes)) - 1),
        lambda mask: list_filter(codes, lambda code, i: (mask >> (i - 1)) & 1 = 1)
    )) AS part
    FROM whole
)
SELECT
    part.definition, part.run, part.fact, part.language, len(part.codes)::INTEGER AS size,
    list_transform(part.codes, lambda code: (code >> 32)::USMALLINT) AS layers,
    list_transform(part.codes, lambda code: (code & 4294967295)::UINTEGER) AS neurons,
    any_value(part.cost) AS cost,
    any_value(part.cost) - sum(m.cost ORDER BY part.part) FILTER (len(part.part) = 1) AS interaction,
    max(m.cost) AS largest_part_cost,
    any_value(part.prompts) AS prompts
FROM part JOIN drop_of(definitions, controls) AS m
    ON m.definition = part.definition AND m.run = part.run AND m.fact = part.fact
    AND m.language = part.language AND m.codes = part.part AND m.cost <= part.low
GROUP BY part.definition, part.run, part.fact, part.language, part.codes
HAVING count(*) = (1 << len(part.codes)) - 2
    AND (NOT any_value(part.asks_interaction) OR interaction > 0);

CREATE OR REPLACE VIEW dkn AS
FROM dkn_of((SELECT list(d) FROM definition AS d), false);

CREATE OR REPLACE MACRO dkn_at(t_low := 0.2, t_high := 0.25, absolute := false, strict := false) AS TABLE
FROM dkn_of(thresholds(t_low := t_low, t_high := t_high, absolute := absolute, strict := strict), false);
