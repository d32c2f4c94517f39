-- Knowledge neurons of a run of `peel` by the rounds after which they were cut (METHOD 2): those of round 1 carry the
-- answer as the model is, those of a later one only once others are gone. Of every run and definition.
CREATE OR REPLACE VIEW neuron_round AS
SELECT
    k.definition, k.run, k.fact, k.language, k.layer, k.neuron,
    min(a.round) AS first_round, max(a.round) AS last_round, any_value(k.score) AS score
FROM knowledge_neuron_of(every_definition()) AS k
JOIN prompt ON prompt.fact = k.fact AND prompt.language = k.language
JOIN probe ON probe.run = k.run AND probe.prompt = prompt.prompt AND usable(probe.status)
JOIN attribution AS a ON a.place = probe.place AND a.layer = k.layer AND a.neuron = k.neuron
WHERE a.round IS NOT NULL
GROUP BY k.definition, k.run, k.fact, k.language, k.layer, k.neuron;
