"""The column dictionary: every table of the atlas, column by column.

Arrow schemas, SQLAlchemy metadata, comments in the file and `docs/schema.md` are all made from `TABLES`.
Layers and neurons are zero-based everywhere. Needs neither torch nor duckdb.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 13
"""Number of the newest migration; the schema that this package reads and writes."""

USABLE_STATUSES = ("ok", "not_converged")
"""Statuses of probes whose scores count."""
SCORED_STATUSES = (*USABLE_STATUSES, "unresolved")
"""Statuses of probes that have scores."""
PROBE_STATUSES = (*SCORED_STATUSES, "not_final", "unspellable", "nan", "too_long", "no_subject")
NORMALIZATIONS = ("none", "layer")
REPLACES = ("zero", "mean", "swap")
"""What a cut neuron becomes (METHOD 4)."""
RUN_STATUSES = ("running", "interrupted", "failed", "done")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: SQL type, meaning, unit, the equation or section it comes from, the table it refers to.

    A `local` column is filled by the store, differs between files of the same content and is in no Arrow schema.
    """

    name: str
    type: str
    meaning: str
    unit: str = ""
    source: str = ""
    refers: str = ""
    nullable: bool = False
    local: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table; `key` names the columns that no two rows share (checked, never an index)."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def content(self) -> tuple[Column, ...]:
        """The columns that are not local."""
        return tuple(column for column in self.columns if not column.local)

    @property
    def order(self) -> tuple[str, ...]:
        """The columns by which the rows of probes and their scores lie in a file."""
        return ("place", *(name for name in self.key if name not in ("run", "prompt")))


_RUN = Column("run", "BIGINT", "run that made the row", refers="run")
_PROMPT = Column("prompt", "BIGINT", "prompt that was put to the model", refers="prompt")
_FACT = Column("fact", "BIGINT", "fact", refers="fact")
_LANGUAGE = Column("language", "VARCHAR", "language code", refers="language")
_RELATION = Column("relation", "VARCHAR", "relation code", refers="relation")
_MODEL = Column("model", "BIGINT", "model", refers="model")
_LAYER = Column("layer", "USMALLINT", "block of the model, from 0")
_NEURON = Column("neuron", "UINTEGER", "coordinate of the down-projection's input, from 0", source="METHOD 1")
_PLACE = Column(
    "place", "UINTEGER", "number of the probe in this file, in order of loading: joins and prunes fast", local=True
)
_REPLACE = Column(
    "replace",
    "VARCHAR",
    "what a cut neuron becomes: zero, mean (over other relations) or swap (its value for another fact)",
    source="METHOD 4",
)
_LAYERS = Column("layers", "USMALLINT[]", "layer of each neuron of the set")
_NEURONS = Column("neurons", "UINTEGER[]", "index of each neuron of the set, in the order of `layers`")

# fmt: off
_ALL = (
    Table("atlas_info", "What this file is: one row a property.", ("key",), (
        Column("key", "VARCHAR", "name of the property: format, storage_version, created_by"),
        Column("value", "VARCHAR", "its value"),
    )),
    Table("language", "Languages of labels and templates.", ("language",), (
        Column("language", "VARCHAR", "the language's shortest code, such as en, zh or zh-Hant"),
        Column("name", "VARCHAR", "English name of the language"),
        Column("rtl", "BOOLEAN", "true if written from right to left"),
    )),
    Table("language_spelling", "Codes of sources that are not the shortest of their language.",
          ("language", "spelling"), (
        _LANGUAGE,
        Column("spelling", "VARCHAR", "the code as the source writes it, such as zh-hans, zho_Hans or zh_cn"),
    )),
    Table("dataset", "Sets of facts that were read into the atlas.", ("dataset",), (
        Column("dataset", "BIGINT", "hash of name, source and revision"),
        Column("name", "VARCHAR", "what was asked for: bundled, a path, or hf:REPO"),
        Column("source", "VARCHAR", "kind of source, such as mpararel or table"),
        Column("revision", "VARCHAR", "commit of the hub's snapshot; NULL for what is no repository of the hub",
               nullable=True),
    )),
    Table("relation", "Relations of facts.", ("relation",), (
        Column("relation", "VARCHAR", "relation code, such as P36"),
        Column("name", "VARCHAR", "what the relation says, in words"),
    )),
    Table("fact", "Facts <subject, relation, object>, the same in all languages.", ("fact",), (
        Column("fact", "BIGINT", "hash of relation, subject key and object key", source="METHOD 1"),
        _RELATION,
        Column("subject", "VARCHAR", "language-free key of the subject"),
        Column("object", "VARCHAR", "language-free key of the object"),
    )),
    Table("fact_label", "What a fact's subject and object are called in a language.", ("fact", "language"), (
        _FACT,
        _LANGUAGE,
        Column("subject", "VARCHAR", "the subject's name in the language"),
        Column("object", "VARCHAR", "the object's name in the language: the answer"),
    )),
    Table("template", "Sentences with [X] for the subject and [Y] for the object.", ("template",), (
        Column("template", "BIGINT", "hash of relation, language and text"),
        _RELATION,
        _LANGUAGE,
        Column("text", "VARCHAR", "the sentence"),
        Column("held_out", "BOOLEAN", "true if kept for paraphrase tests and never attributed by default"),
        Column("ends_in_object", "BOOLEAN", "true if usable by causal models", source="METHOD 1"),
        Column("kind", "VARCHAR", "stated: a sentence of the source; shown: one after examples "
               "(`--examples`); asked: one with its place open, then asked for (`--ask`)"),
    )),
    Table("prompt", "Prompts that some run has planned.", ("prompt",), (
        Column("prompt", "BIGINT", "hash of fact, template and labels"),
        _FACT,
        _LANGUAGE,
        Column("template", "BIGINT", "template that was filled", refers="template"),
        Column("text", "VARCHAR", "the template with the subject filled in; [Y] marks the object's place"),
        Column("answer", "VARCHAR", "the object's label, as written"),
    )),
    Table("model", "Models, by the digest of their weights.", ("model",), (
        Column("model", "BIGINT", "hash of the weights' digest"),
        Column("name", "VARCHAR", "short name, Hugging Face id or folder as given; :encoder ends an encoder's"),
        Column("family", "VARCHAR", "architecture, such as bert or gpt2"),
        Column("kind", "VARCHAR", "masked, causal, infilling or reading"),
        Column("layers", "USMALLINT", "number of blocks", unit="blocks"),
        Column("neurons", "UINTEGER", "neurons in each layer", unit="neurons"),
        Column("hidden", "UINTEGER", "width of the residual stream", unit="dimensions"),
        Column("vocabulary", "UINTEGER", "size of the vocabulary", unit="tokens"),
        Column("revision", "VARCHAR", "revision asked for, or the hub's commit; NULL for files", nullable=True),
        Column("digest", "VARCHAR", "digest of the weights; an encoder's is not its decoder's"),
    )),
    Table("run", "Runs: one method with its settings and seed on one model.", ("run",), (
        Column("run", "BIGINT", "hash of weights digest, method, settings and seed"),
        _MODEL,
        Column("method", "VARCHAR", "scorer", source="METHOD 2"),
        Column("settings", "VARCHAR", "settings as a JSON object; `floor` is the share of the maximum kept, "
               "`tokenizer` and `config` digests of what the model's are; old runs do not name them"),
        Column("seed", "BIGINT", "seed of everything random"),
        Column("versions", "VARCHAR", "versions of the packages that made the rows, a JSON object; `unusable` those "
               "that last tried its unusable prompts, if they are others"),
        Column("status", "VARCHAR", "running, interrupted, failed or done"),
        Column("started", "TIMESTAMP", "when the run was first started", unit="UTC"),
        Column("finished", "TIMESTAMP", "when it last ended; NULL while running", unit="UTC", nullable=True),
        Column("twin_of", "BIGINT", "for a run of a model's untrained twin: the model's own run; NULL for others",
               source="METHOD 3b", refers="run", nullable=True),
        Column("twin_seed", "BIGINT", "seed that the twin's weights were drawn with; NULL for other runs",
               source="METHOD 3b", nullable=True),
    )),
    Table("probe", "A prompt put to the model of a run.", ("run", "prompt"), (
        _PLACE,
        _RUN,
        _PROMPT,
        Column("status", "VARCHAR",
               "ok or not_converged (usable), unresolved, not_final, unspellable, nan, too_long or no_subject",
               source="METHOD 1"),
        Column("probability", "DOUBLE", "product of the answer tokens' probabilities", unit="probability",
               source="METHOD 1", nullable=True),
        Column("mean_probability", "DOUBLE", "geometric mean of the answer tokens' probabilities",
               unit="probability", source="METHOD 1", nullable=True),
        Column("rank", "INTEGER", "rank of the answer's first token; 1 is the argmax", source="METHOD 1",
               nullable=True),
        Column("prediction", "VARCHAR", "the model's own most probable first token, as the tokenizer writes it",
               nullable=True),
        Column("tokens", "VARCHAR", "the answer's tokens, a JSON list", nullable=True),
        Column("max_score", "FLOAT", "largest score over all layers", source="Eq. 6", nullable=True),
        Column("prediction_text", "VARCHAR", "the prediction as text; NULL before schema 2, where it stands in "
               "`prediction`", nullable=True),
        Column("unknown_tokens", "INTEGER", "tokens beside the answer, and pieces left out, that the vocabulary does "
               "not know; NULL if not counted", unit="tokens", nullable=True),
        Column("argmax", "BOOLEAN", "true if each of the answer's tokens is the most probable one; NULL where rows of "
               "before schema 13 have the first token's `rank` alone", source="METHOD 3b", nullable=True),
    )),
    Table("probe_layer", "What one layer's scores add up to, and the proof; NULL where a scorer has no path.",
          ("run", "prompt", "layer"), (
        _PLACE,
        _RUN,
        _PROMPT,
        _LAYER,
        Column("score_sum", "DOUBLE", "signed sum of the layer's scores", source="Eq. 5", nullable=True),
        Column("f", "DOUBLE", "F(w): probability of the answer token, mean over steps", unit="probability",
               source="METHOD 2", nullable=True),
        Column("f_baseline", "DOUBLE", "F(w'): the same at the baseline", unit="probability",
               source="METHOD 2", nullable=True),
        Column("completeness_error", "DOUBLE", "|score_sum - (f - f_baseline)|", unit="probability",
               source="METHOD 2", nullable=True),
        Column("nodes", "INTEGER", "nodes of the quadrature that was kept", unit="nodes"),
        Column("score_error", "DOUBLE", "estimate of the largest error of one score, the larger of two: by how the "
               "coefficients of the gradient along the path fall, and by what their sum misses", unit="probability",
               source="METHOD 2", nullable=True),
    )),
    Table("attribution", "Scores, of either sign, that reach the run's floor: by run, prompt, layer, neuron.",
          ("run", "prompt", "layer", "neuron"), (
        _PLACE,
        _RUN,
        _PROMPT,
        _LAYER,
        _NEURON,
        Column("score", "FLOAT", "attribution score", unit="probability", source="Eq. 2-4"),
        Column("round", "UTINYINT", "round of `peel` after which the neuron was cut, the first of any of the answer's "
               "tokens; NULL if it never was, and for every other scorer", source="METHOD 2", nullable=True),
    )),
    Table("knockout", "What cutting a set of neurons does to a prompt's answer.",
          ("run", "prompt", "set", "control", "replace"), (
        _RUN,
        _PROMPT,
        Column("set", "BIGINT", "hash of the neurons of the set"),
        Column("control", "BOOLEAN", "true for random sets of the same size and layers"),
        Column("size", "UTINYINT", "number of neurons in the set", unit="neurons"),
        _LAYERS,
        _NEURONS,
        Column("before", "DOUBLE", "probability of the answer (product of its tokens') with all neurons",
               unit="probability", source="Eq. 9-10"),
        Column("after", "DOUBLE", "the same with the set cut", unit="probability", source="Eq. 9-10"),
        Column("twin", "BIGINT", "for a control: the set whose size and layers it has; NULL for others",
               nullable=True),
        _REPLACE,
        Column("other", "BIGINT", "for swap: the fact whose values the neurons took; NULL for others", refers="fact",
               source="METHOD 4", nullable=True),
        Column("pool", "BIGINT", "for mean: hash of the prompts that the mean is over; NULL for others and before "
               "schema 13", source="METHOD 4", nullable=True),
    )),
    Table("neuron_token", "Tokens that a neuron's value vector promotes or demotes.",
          ("model", "layer", "neuron", "direction", "rank"), (
        _MODEL,
        _LAYER,
        _NEURON,
        Column("direction", "VARCHAR", "promotes or demotes"),
        Column("rank", "USMALLINT", "place in the list, from 1"),
        Column("token", "VARCHAR", "the token, as the tokenizer writes it: no two have the same name"),
        Column("score", "FLOAT", "value vector times the token's output embedding", unit="logit"),
        Column("text", "VARCHAR", "the token as text; NULL before schema 2, where it stands in `token`", nullable=True),
    )),
    Table("neuron_activation", "What a stored neuron is in the prompts of a language, at most 64 of each relation; a "
          "prompt counts once, by the mean over its answer's tokens.",
          ("model", "language", "position", "layer", "neuron"), (
        _MODEL,
        _LANGUAGE,
        Column("position", "VARCHAR", "where it was read: query, or subject (its last token)", source="METHOD 2"),
        _LAYER,
        _NEURON,
        Column("prompts", "INTEGER", "number of prompts", unit="prompts"),
        Column("mean", "FLOAT", "mean of its values"),
        Column("deviation", "FLOAT", "standard deviation of its values"),
        Column("q05", "FLOAT", "5 % quantile of its values"),
        Column("q25", "FLOAT", "25 % quantile of its values"),
        Column("q50", "FLOAT", "median of its values"),
        Column("q75", "FLOAT", "75 % quantile of its values"),
        Column("q95", "FLOAT", "95 % quantile of its values"),
    )),
    Table("label_token", "Tokens that a fact's names take in a language's prompts; those of punctuation alone are left "
          "out.", ("model", "fact", "language"), (
        _MODEL,
        _FACT,
        _LANGUAGE,
        Column("subject", "UINTEGER[]", "ids of the subject's tokens, over all prompts", source="METHOD 3b"),
        Column("object", "UINTEGER[]", "ids of the object's tokens, over all prompts", source="METHOD 3b"),
        Column("scripts", "VARCHAR[]", "scripts of the letters of both, such as LATIN", source="METHOD 3b"),
    )),
    Table("intervention", "A prompt's answer before and after neurons were suppressed or enhanced.",
          ("intervention", "prompt"), (
        Column("intervention", "BIGINT", "hash of evaluation, run, fact, languages, source, neurons, action and scope"),
        Column("evaluation", "BIGINT", "hash of runs, facts, prompts, neurons and settings: what was measured together",
               source="METHOD 4"),
        Column("purpose", "VARCHAR", "localisation or cross-lingual", source="METHOD 4"),
        Column("run", "BIGINT", "run that the neurons come from", refers="run"),
        Column("fact", "BIGINT", "fact that the neurons were chosen for", refers="fact"),
        Column("languages", "VARCHAR[]", "languages that the neurons come from; of inject, the one of the values"),
        Column("source", "VARCHAR", "top (highest scores), likn, both (two languages' together), other (another "
               "fact's of the relation) or random", source="METHOD 4"),
        Column("action", "VARCHAR", "suppress, enhance, or inject: the neurons' values put into another fact's prompts",
               source="METHOD 4"),
        Column("scope", "VARCHAR", "query, subject (its last token) or all positions"),
        _LAYERS,
        _NEURONS,
        Column("prompt", "BIGINT", "prompt that was measured; of inject the other fact's, asked for this one's object",
               refers="prompt"),
        Column("related", "BOOLEAN", "true for the fact's own prompts, false for unrelated ones",
               source="METHOD 4"),
        Column("probability_before", "DOUBLE", "probability of the answer (product of its tokens')",
               unit="probability", source="METHOD 1"),
        Column("probability_after", "DOUBLE", "the same under the intervention", unit="probability",
               source="Eq. 11"),
        Column("rank_before", "INTEGER", "rank of the answer's first token"),
        Column("rank_after", "INTEGER", "the same under the intervention"),
        Column("argmax_before", "BOOLEAN", "true if each of the answer's tokens was the most probable one"),
        Column("argmax_after", "BOOLEAN", "the same under the intervention"),
        _REPLACE,
    )),
    Table("edit", "Changes of a model's weights that make it say another object.", ("edit",), (
        Column("edit", "BIGINT", "hash of model, fact, new object, languages, method, settings and neurons"),
        _MODEL,
        _FACT,
        Column("run", "BIGINT", "run that the neurons come from; NULL for a list of neurons", refers="run",
               nullable=True),
        Column("object", "VARCHAR", "key of the new object, or its text where the atlas has no such object"),
        Column("languages", "VARCHAR[]", "languages that the edit was made in"),
        Column("method", "VARCHAR", "fit or kn", source="METHOD 5"),
        Column("source", "VARCHAR", "where the neurons come from: likn, kn, relation, random or file"),
        Column("settings", "VARCHAR", "settings as a JSON object, and how the fit ended"),
        _LAYERS,
        _NEURONS,
        Column("digest", "VARCHAR", "digest of the edit's file"),
        Column("file", "VARCHAR", "the edit's file, beside the atlas unless the path is absolute"),
        Column("status", "VARCHAR", "made (in its file alone), applied (to a saved model), undone or not_converged"),
        Column("created", "TIMESTAMP", "when it was made", unit="UTC"),
    )),
    Table("edit_outcome", "A prompt before and after an edit.", ("edit", "measure", "prompt"), (
        Column("edit", "BIGINT", "edit", refers="edit"),
        Column("measure", "VARCHAR", "efficacy, paraphrase, transfer, locality, neighbour (other facts of the "
               "relation), or retention (the edited prompts after later edits; before is right after the edit)",
               source="METHOD 5"),
        Column("prompt", "BIGINT", "prompt that was measured", refers="prompt"),
        Column("answer", "VARCHAR", "answer looked for: the new object, or for locality and neighbours the old one"),
        Column("known", "BOOLEAN", "true if the old answer was the argmax before the edit"),
        Column("probability_before", "DOUBLE", "probability of the answer (product of its tokens')",
               unit="probability", source="METHOD 1"),
        Column("probability_after", "DOUBLE", "the same after the edit", unit="probability"),
        Column("rank_before", "INTEGER", "rank of the answer's first token"),
        Column("rank_after", "INTEGER", "the same after the edit"),
        Column("argmax_before", "BOOLEAN", "true if each of the answer's tokens was the most probable one"),
        Column("argmax_after", "BOOLEAN", "the same after the edit"),
        Column("same_argmax", "BOOLEAN", "true if the most probable token is the same as before, whatever it is"),
        Column("kl", "DOUBLE", "divergence of the prediction after from the one before, mean over the answer's tokens",
               unit="nats"),
        Column("written", "VARCHAR", "what a causal model then wrote in the object's place, greedily", nullable=True),
        Column("says_new", "BOOLEAN", "true if the new object's name in any language is in it", nullable=True),
    )),
    Table("claim", "Claims <subject, relation, object> in a language, to be judged.", ("claim",), (
        Column("claim", "BIGINT", "hash of language, relation, subject, object, texts and condition"),
        Column("fact", "BIGINT", "fact that the claim is made from, true or with another object; NULL if none",
               refers="fact", nullable=True),
        _LANGUAGE,
        _RELATION,
        Column("subject", "VARCHAR", "the subject as claimed"),
        Column("object", "VARCHAR", "the object as claimed"),
        Column("texts", "VARCHAR[]", "the prompts that the claim was put in; [Y] marks the object's place"),
        Column("condition", "VARCHAR", "asked, or in evaluations plain, held-out, corrupted or code-switched",
               source="METHOD 6"),
        Column("truth", "BOOLEAN", "whether it is true; NULL if unknown", nullable=True),
        Column("split", "VARCHAR", "train or test; NULL outside evaluations", nullable=True),
    )),
    Table("verdict", "What one kind of evidence says about a claim.",
          ("evaluation", "claim", "evidence", "source_language"), (
        Column("evaluation", "BIGINT", "hash of run, definition, neurons and settings: verdicts given together"),
        Column("run", "BIGINT", "run that the neurons come from", refers="run"),
        Column("claim", "BIGINT", "claim", refers="claim"),
        Column("evidence", "VARCHAR",
               "dkn, dkn-or-kn, dkn-languages, kn, likn, random, probability, probability-languages, margin, argmax "
               "or combined",
               source="METHOD 6"),
        Column("source_language", "VARCHAR", "language whose neurons and threshold judged", refers="language"),
        Column("score", "DOUBLE", "the evidence's score; NULL if unusable", nullable=True),
        Column("threshold", "DOUBLE", "threshold, tuned on the training split", nullable=True),
        Column("supported", "BOOLEAN", "score > threshold; NULL if unusable", nullable=True),
        Column("status", "VARCHAR", "ok, or the reason why the claim is unusable"),
    )),
    Table("definition", "Named thresholds that the views read.", ("definition",), (
        Column("definition", "VARCHAR", "name"),
        Column("tau", "DOUBLE", "share of the maximum score that a knowledge neuron must exceed",
               source="Eq. 6-7"),
        Column("tau_by_language", "MAP(VARCHAR, DOUBLE)", "tau of single languages, in place of `tau`"),
        Column("share", "DOUBLE", "share of the usable prompts that a neuron must be found in more than of",
               source="METHOD 3"),
        Column("min_languages", "INTEGER", "languages that a LIKN must be found in; NULL for all",
               unit="languages", source="Eq. 8", nullable=True),
        Column("normalization", "VARCHAR", "none, or layer: score / sum of the layer's scores",
               source="Eq. 5"),
        Column("t_low", "DOUBLE", "most that zeroing a proper subset of a DKN may cost", source="Eq. 9"),
        Column("t_high", "DOUBLE", "what zeroing the whole DKN must cost more than", source="Eq. 10"),
        Column("absolute", "BOOLEAN", "true for absolute drops of probability, false for relative ones"),
        Column("strict", "BOOLEAN", "true to ask for interaction > 0 too", source="METHOD 3"),
        Column("relation_share", "DOUBLE", "share of the largest count of facts that a relation DKN must exceed",
               source="METHOD 3"),
        Column("least", "DOUBLE", "share of the answer's mean probability that a knowledge neuron's score must exceed; "
               "NULL for the scorer's own: 0.00006 for amig, and a twentieth of the prompt's largest score in absolute "
               "value where that is below zero, 0.05 for peel, 0 for the others", source="METHOD 3b", nullable=True),
        Column("known", "BOOLEAN", "true to count a fact only in languages where the model knows it: the answer's "
               "tokens are its own choice in more than half of the usable prompts", source="METHOD 3b"),
        Column("replace", "VARCHAR", "which knock-outs its DKNs are of: those where a cut neuron becomes zero, mean or "
               "swap", source="METHOD 4"),
    )),
    Table("in_use", "What a query means that names no run and no definition: one row, which `atlas use` writes.",
          ("definition",), (
        Column("run", "BIGINT", "run that is meant; NULL for the newest finished one of the first of its scorers on "
               "the model that was built last", refers="run", nullable=True),
        Column("definition", "VARCHAR", "definition that is meant", refers="definition"),
    )),
)
# fmt: on

TABLES: Mapping[str, Table] = {table.name: table for table in _ALL}
IDS = frozenset(c.name for table in _ALL for c in table.columns if c.type == "BIGINT") - {"seed"}
"""Columns of ids: whole numbers of 63 bits, which are strings in JSON, as many readers keep 53 bits of a number."""
IDS_OF_VIEWS = IDS | {"run_query", "run_subject", "source"}
"""Those, and what views call the runs that they set side by side; a `source` elsewhere is a text."""
OF_THE_FILE = ("atlas_info", "in_use")
"""Tables that say something of one file and are no part of what an atlas holds: neither merged nor exported."""


def usable(status: str) -> str:
    """Return the SQL that says whether a probe's `status`, an expression, is a usable one.

    Views ask the macro `usable(status)` that is made from it; queries hold it written out, so that they run in every
    atlas.
    """
    return _among(status, USABLE_STATUSES)


def scored(status: str) -> str:
    """Return the SQL that says whether a probe of that `status`, an expression, has scores."""
    return _among(status, SCORED_STATUSES)


def _among(status: str, names: Sequence[str]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"{status} IN ({quoted})"


def arrow(table: str) -> pa.Schema:
    """Return the Arrow schema of the content of `table`; raises KeyError for an unknown one."""
    import pyarrow as pa

    return pa.schema([pa.field(c.name, _arrow_type(c.type), nullable=c.nullable) for c in TABLES[table].content])


def rows_of(table: str, rows: Iterable[Mapping[str, object]]) -> pa.Table:
    """Return `rows`, values by column, with the Arrow schema of `table`."""
    import pyarrow as pa

    return pa.Table.from_pylist(list(rows), schema=arrow(table))


def _arrow_type(sql: str) -> pa.DataType:
    """Return the Arrow twin of one of the SQL types used above."""
    import pyarrow as pa

    if sql.endswith("[]"):
        return pa.list_(_arrow_type(sql[:-2]))
    return {
        "BIGINT": pa.int64(),
        "BOOLEAN": pa.bool_(),
        "DOUBLE": pa.float64(),
        "FLOAT": pa.float32(),
        "INTEGER": pa.int32(),
        "MAP(VARCHAR, DOUBLE)": pa.map_(pa.string(), pa.float64()),
        "TIMESTAMP": pa.timestamp("us"),
        "UINTEGER": pa.uint32(),
        "USMALLINT": pa.uint16(),
        "UTINYINT": pa.uint8(),
        "VARCHAR": pa.string(),
    }[sql]
