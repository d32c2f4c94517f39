-- Which facts may fit something and which only test it: by their subjects, so that no subject is on both sides.
CREATE OR REPLACE VIEW fact_split AS
SELECT
    fact, relation,
    CASE WHEN ('0x' || left(md5('split:' || subject), 8))::BIGINT % 100 < 60 THEN 'train' ELSE 'test' END AS split
FROM fact;

-- Neurons of a relation in a language (METHOD 3): those in the DKNs of more than `relation_share` of the largest count,
-- counted in training facts and not in sets.
CREATE OR REPLACE MACRO relation_dkn_of(definitions) AS TABLE
WITH counted AS (
    SELECT
        member.definition, member.run, fact_split.relation, member.language, member.layer, member.neuron,
        count(DISTINCT member.fact)::INTEGER AS facts
    FROM (
        SELECT definition, run, fact, language, unnest(layers) AS layer, unnest(neurons) AS neuron
        FROM dkn_of(definitions)
    ) AS member JOIN fact_split ON fact_split.fact = member.fact
    WHERE fact_split.split = 'train'
    GROUP BY member.definition, member.run, fact_split.relation, member.language, member.layer, member.neuron
),
compared AS (
    SELECT *, max(facts) OVER (PARTITION BY definition, run, relation, language) AS most_facts FROM counted
)
SELECT compared.*
FROM compared JOIN (SELECT unnest(definitions) AS d) AS chosen ON chosen.d.definition = compared.definition
WHERE compared.facts / compared.most_facts > chosen.d.relation_share;

-- Knowledge neurons of a relation in a language, counted in training facts as `relation_dkn` counts those in DKNs: what a
-- relation without DKNs has to go by.
CREATE OR REPLACE MACRO relation_kn_of(definitions) AS TABLE
WITH counted AS (
    SELECT
        member.definition, member.run, fact_split.relation, member.language, member.layer, member.neuron,
        count(*)::INTEGER AS facts
    FROM knowledge_neuron_of(definitions) AS member JOIN fact_split ON fact_split.fact = member.fact
    WHERE fact_split.split = 'train'
    GROUP BY member.definition, member.run, fact_split.relation, member.language, member.layer, member.neuron
),
compared AS (
    SELECT *, max(facts) OVER (PARTITION BY definition, run, relation, language) AS most_facts FROM counted
)
SELECT compared.*
FROM compared JOIN (SELECT unnest(definitions) AS d) AS chosen ON chosen.d.definition = compared.definition
WHERE compared.facts / compared.most_facts > chosen.d.relation_share;

CREATE OR REPLACE VIEW relation_dkn_all AS
FROM relation_dkn_of(every_definition());

CREATE OR REPLACE VIEW relation_dkn AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    relation.name AS relation_name, found.relation, found.language, found.layer, found.neuron, found.facts,
    found.most_facts, run_name.model, run_name.method, found.definition, found.run
FROM relation_dkn_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run
JOIN relation ON relation.relation = found.relation;

CREATE OR REPLACE VIEW relation_kn_all AS
FROM relation_kn_of(every_definition());

CREATE OR REPLACE VIEW relation_kn AS
WITH meant AS MATERIALIZED (SELECT definition_in_use() AS asked)
SELECT
    relation.name AS relation_name, found.relation, found.language, found.layer, found.neuron, found.facts,
    found.most_facts, run_name.model, run_name.method, found.definition, found.run
FROM relation_kn_of((SELECT asked FROM meant)) AS found
JOIN run_name ON run_name.run = found.run
JOIN relation ON relation.relation = found.relation;

CREATE OR REPLACE MACRO relation_dkn_at(
    relation_share := 0.7, t_low := 0.2, t_high := 0.25, absolute := false, strict := false,
    tau := 0.2, tau_by_language := MAP {}, share := 0.5, normalization := 'none', least := NULL, known := false,
    replace := 'zero'
) AS TABLE
FROM relation_dkn_of(thresholds(
    relation_share := relation_share, t_low := t_low, t_high := t_high, absolute := absolute, strict := strict,
    tau := tau, tau_by_language := tau_by_language, share := share, normalization := normalization,
    least := least, known := known, replace := replace
));
