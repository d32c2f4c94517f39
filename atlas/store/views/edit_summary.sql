-- Edits with what they did (METHOD 5): shares of prompts by measure, NULL where none was measured.
-- Efficacy, paraphrase and transfer: the new answer is the argmax; paraphrases count where the old one was known.
-- Locality and neighbour (other facts of the relation): the argmax is the one of before, whatever it is.
-- Retention: the new answer is still the argmax after the later edits of a row.
-- An edit that did not converge has no file.
CREATE OR REPLACE VIEW edit_summary AS
SELECT
    edit.edit, model.name AS model, fact.relation, fact.subject, fact.object AS old_object, edit.object,
    edit.languages, edit.method, edit.source, len(edit.neurons)::INTEGER AS n_neurons, edit.status,
    found.efficacy, found.paraphrase, found.transfer, found.locality, found.neighbour, found.locality_kl,
    found.efficacy_before, found.retention, found.written, found.written_elsewhere,
    CASE WHEN edit.status <> 'not_converged' THEN edit.file END AS file, edit.created
FROM edit
JOIN model ON model.model = edit.model
JOIN fact ON fact.fact = edit.fact
LEFT JOIN (
    SELECT
        edit,
        avg(argmax_after::INTEGER) FILTER (measure = 'efficacy') AS efficacy,
        avg(argmax_after::INTEGER) FILTER (measure = 'paraphrase' AND known) AS paraphrase,
        avg(argmax_after::INTEGER) FILTER (measure = 'transfer') AS transfer,
        avg(same_argmax::INTEGER) FILTER (measure = 'locality') AS locality,
        avg(same_argmax::INTEGER) FILTER (measure = 'neighbour') AS neighbour,
        avg(kl) FILTER (measure = 'locality') AS locality_kl,
        avg(argmax_before::INTEGER) FILTER (measure = 'efficacy') AS efficacy_before,
        avg(argmax_after::INTEGER) FILTER (measure = 'retention') AS retention,
        avg(says_new::INTEGER) FILTER (measure = 'efficacy') AS written,
        avg(says_new::INTEGER) FILTER (measure IN ('locality', 'neighbour')) AS written_elsewhere
    FROM edit_outcome
    GROUP BY edit
) AS found ON found.edit = edit.edit
ORDER BY edit.created, edit.edit;
