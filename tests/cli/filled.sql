-- An atlas as people fill it: two models, ten runs with a control among them, neurons of a fact, and three edits.
INSERT INTO model BY NAME FROM (VALUES
    (4611686018427387905, 'bert-base-multilingual-cased', 'bert', 'masked', 12, 3072, 768, 119547, NULL, 'aa11'),
    (4611686018427387906, 'ai-forever/mGPT', 'gpt2', 'causal', 24, 8192, 2048, 100000, NULL, 'bb22')
) AS made(model, name, family, kind, layers, neurons, hidden, vocabulary, revision, digest);
INSERT INTO run BY NAME
SELECT
    5000000000000000000 + n AS run, 4611686018427387905 + n % 2 AS model,
    ['amig', 'amig-mean', 'kn', 'gradient', 'random'][1 + n // 2] AS method,
    '{"dtype": "float32", "floor": 0.05, "max_nodes": 128, "tolerance": 0.01}' AS settings, 0 AS seed,
    '{"torch": "2.13.0", "transformers": "5.23.0"}' AS versions, if(n = 9, 'interrupted', 'done') AS status,
    TIMESTAMP '2026-03-01 09:30:00' + INTERVAL 1 HOUR * n AS started,
    TIMESTAMP '2026-03-01 09:41:12.5' + INTERVAL 1 HOUR * n AS finished
FROM range(10) AS made(n);
INSERT INTO prompt BY NAME
SELECT
    6000000000000000000 + row_number() OVER (ORDER BY language, template) AS prompt, fact.fact, language, template,
    replace(text, '[X]', label.subject) AS text, label.object AS answer
FROM fact JOIN fact_label AS label USING (fact) JOIN template USING (relation, language)
WHERE fact.subject = 'france' AND NOT held_out;
INSERT INTO probe BY NAME
SELECT
    row_number() OVER (ORDER BY run, prompt) - 1 AS place, run, prompt, 'ok' AS status, 0.5 AS probability,
    0.5 AS mean_probability, 1 AS rank, 'x' AS prediction, '["x"]' AS tokens, 0.4 AS max_score
FROM run, prompt WHERE method = 'amig' AND run = 5000000000000000000;
INSERT INTO attribution BY NAME
SELECT place, run, prompt.prompt, 3 + n AS layer, 486 + 1000 * n AS neuron, 0.4 - 0.123456789 * n AS score
FROM probe JOIN prompt USING (prompt), range(3) AS made(n)
WHERE n < 2 OR language = 'en';
INSERT INTO neuron_token BY NAME
SELECT 4611686018427387905 AS model, 3 AS layer, 486 AS neuron, 'promotes' AS direction, n AS rank,
    ['Paris', '##ville', '巴黎'][n] AS token, 1.5 AS score, ['Paris', 'ville', '巴黎'][n] AS text
FROM range(1, 4) AS made(n);
INSERT INTO edit BY NAME
SELECT
    7000000000000000000 + n AS edit, 4611686018427387905 AS model, fact, 5000000000000000000 AS run,
    ['Lyon', 'Clermont-Ferrand', 'Saint-Denis'][n] AS object, ['en', 'fr'] AS languages, 'fit' AS method, 'likn' AS source, '{}' AS settings,
    [3, 4] AS layers, [486, 1486] AS neurons, 'cc33' AS digest, 'edits/edit-' || n || '.safetensors' AS file,
    ['made', 'undone', 'applied'][n] AS status, TIMESTAMP '2026-03-02 10:00:00' + INTERVAL 1 DAY * n AS created
FROM range(1, 4) AS made(n), fact WHERE fact.subject = 'france';
