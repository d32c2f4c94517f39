"""Judging claims that a user asks about, one or a file of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import exp, isnan
from shlex import quote
from typing import TYPE_CHECKING

import numpy as np

import atlas
from atlas.checking.answers import Answer
from atlas.checking.conditions import choose
from atlas.checking.job import CheckOptions, Session, opened
from atlas.checking.neurons import EVIDENCE, Sets
from atlas.errors import AtlasError, UsageError
from atlas.facts import Fact, Label, Prompt, Template
from atlas.ids import stable_id
from atlas.matching import option
from atlas.running.progress import Progress
from atlas.store.naming import understood

if TYPE_CHECKING:
    from atlas.checking.claims import Claim
    from atlas.checking.known_claims import KnownClaim
    from atlas.checking.signals import Signals

DEFAULT_LANGUAGE = "en"
SPOKEN = 5
"""Neurons named in an answer, those of the largest scores."""


@dataclass(frozen=True, slots=True)
class _Put:
    """A claim as it is put to the model."""

    claim: "Claim"
    prompts: tuple[Prompt, ...]
    notes: tuple[str, ...]

    @property
    def pair(self) -> tuple[str, str]:
        """The claim's relation and language."""
        return self.claim.relation, str(self.claim.language)


def check_claims(
    options: CheckOptions,
    claims: Sequence["Claim"],
    evidence: str = "dkn",
    *,
    strict: bool = False,
    progress: Progress | None = None,
) -> list[Answer]:
    """Judge each claim by its relation's neurons and store claims and verdicts.

    A claim that cannot be judged comes back with the reason; with `strict` it raises UsageError.
    """
    evidence = option("--evidence", evidence, EVIDENCE)
    if strict:
        with atlas.open(options.db) as reader:
            for claim in claims:
                understood(reader, claim)
    with opened(options, progress) as session:
        judge = _Judge(session, evidence)
        answers = judge.answers(claims)
        wrong = [answer for answer in answers if answer.status != "ok"]
        if strict and wrong:
            raise UsageError(wrong[0].status)
        judge.store(answers)
        return answers


@dataclass
class _Judge:
    session: Session
    evidence: str
    cases: "dict[tuple[str, str], Sequence[KnownClaim]]" = field(default_factory=dict)

    def answers(self, claims: Sequence["Claim"]) -> list[Answer]:
        """Judge the claims that can be put, in one pass."""
        from atlas.checking.signals import Asked

        puts = [self._try_put(claim) for claim in claims]
        ready = [put for put in puts if isinstance(put, _Put)]
        thresholds = {pair: self._threshold(*pair) for pair in dict.fromkeys(put.pair for put in ready)}
        asked = [Asked(put.prompts, self._own(put), spoken=True) for put in ready]
        found = iter(self.session.signals(asked))
        return [
            put if isinstance(put, Answer) else self._answer(put, next(found), thresholds[put.pair]) for put in puts
        ]

    def _own(self, put: _Put) -> Sets:
        """Return the neurons that a claim is judged by."""
        relation, language = put.pair
        return {(self.evidence, language): self.session.neurons[relation][self.evidence, language]}

    def store(self, answers: Sequence[Answer]) -> None:
        """Add claims and verdicts, each under an id that changes with the neurons and the threshold."""
        from atlas.checking.rows import asked_tables

        put = [answer for answer in answers if answer.texts]
        pairs = [(answer.claim.relation, str(answer.claim.language)) for answer in put]
        identities = {pair: self._identity("asked", *pair) for pair in set(pairs)}
        self.session.load(**asked_tables(put, self.session.run, [identities[pair] for pair in pairs]))

    def _try_put(self, claim: "Claim") -> "_Put | Answer":
        try:
            return self._put(claim)
        except AtlasError as error:
            return Answer(claim, self.evidence, str(error))

    def _put(self, claim: "Claim") -> _Put:
        """Return a claim in the templates of its language; raises UsageError saying what is missing."""
        if claim.problem:
            raise UsageError(f"The claim is unusable: {claim.problem}; mend the row.")
        claim = understood(self.session.writer, claim)
        spoken = self._spoken(claim.relation)
        language, notes = self._language(claim, spoken)
        if language not in spoken:
            raise UsageError(
                f"Relation {claim.relation} has no usable template in {language!r}; it has some in {', '.join(spoken)}."
            )
        self._check_neurons(claim.relation, language)
        templates = self._templates(claim.relation, language)
        fact = Fact(claim.relation, claim.subject, claim.object, {language: Label(claim.subject, claim.object)})
        prompts = tuple(Prompt(fact, template) for template in templates)
        return _Put(replace(claim, language=language), prompts, notes)

    def _spoken(self, relation: str) -> list[str]:
        """Return the languages in which a relation has templates for this model."""
        templates = [t for t in self.session.world.templates if t.relation == relation]
        if not templates:
            known = sorted({t.relation for t in self.session.world.templates})
            raise UsageError(f"The atlas has no templates of relation {relation!r}; it has {', '.join(known)}.")
        spoken = sorted(
            {t.language for t in templates if not t.held_out and (t.ends_in_object or not self.session.causal)}
        )
        if not spoken:
            needed = (
                "that ends in the object, which a causal model needs" if self.session.causal else "but held-out ones"
            )
            raise UsageError(f"Relation {relation} has no template {needed}.")
        return spoken

    def _language(self, claim: "Claim", spoken: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """Return the claim's language: as given, or that in which the atlas knows its subject, else English."""
        labels = [
            (code, label)
            for fact in self.session.world.facts
            if fact.relation == claim.relation
            for code, label in fact.labels.items()
        ]
        notes = [
            f"the atlas does not know the {part} {text!r}: it is taken as text"
            for part, text in (("subject", claim.subject), ("object", claim.object))
            if not any(text == getattr(label, part) for _, label in labels)
        ]
        if claim.language:
            return claim.language, tuple(notes)
        known = {code for code, label in labels if label.subject == claim.subject and code in spoken}
        agreeing = {code for code, label in labels if code in known and label.object == claim.object}
        choices = sorted(agreeing or known or set(spoken))
        language = DEFAULT_LANGUAGE if DEFAULT_LANGUAGE in choices else choices[0]
        return language, (*notes, f"no language was given: the templates of {language!r} were used")

    def _check_neurons(self, relation: str, language: str) -> None:
        options = self.session.options
        if not self.session.neurons.get(relation, {}).get((self.evidence, language)):
            raise UsageError(
                f"The atlas has no {self.evidence} neurons of {relation} in {language!r}, found on training facts; "
                f"`atlas knockout --model {quote(str(options.model))} --relations {quote(relation)} "
                f"--db {quote(str(options.db))}` looks for DKN, and --evidence dkn-or-kn goes by knowledge neurons "
                "where there are none."
            )

    def _templates(self, relation: str, language: str) -> list[Template]:
        found = self.session.world.templates_of(relation, language, held_out=False, causal=self.session.causal)
        return choose(self.session.options.templates, found, self.session.options.seed)

    def _answer(self, put: _Put, signals: "Signals", threshold: float) -> Answer:
        name = self.evidence, put.pair[1]
        texts = tuple(prompt.text for prompt in put.prompts)
        if signals.status != "ok":
            return Answer(
                put.claim, self.evidence, _REASONS.get(signals.status, signals.status), texts, notes=put.notes
            )
        spoke = sorted(signals.neurons[name].items(), key=lambda item: (-item[1], item[0]))[:SPOKEN]
        tuned = not isnan(threshold)
        return Answer(
            put.claim,
            self.evidence,
            "ok" if tuned else "no threshold can be tuned: the relation has too few training facts in the language",
            texts,
            signals.score[name],
            threshold if tuned else None,
            exp(signals.log_probability),
            tuple((layer, neuron, score) for (layer, neuron), score in spoke),
            put.notes,
        )

    def _threshold(self, relation: str, language: str) -> float:
        """Return the threshold as the atlas holds it, else tune it on training claims and store those."""
        from atlas.checking.evaluation import Verdicts, score_of, threshold_of
        from atlas.checking.rows import claim_table, verdict_table

        session, identity = self.session, self._identity("threshold", relation, language)
        rows = session.writer.sql(_THRESHOLD, [identity]).to_pylist()
        if rows:
            return float(rows[0]["threshold"])
        session.progress.step(f"tuning the threshold of {relation} in {language} on training facts")
        cases = self._cases(relation, language)
        found = session.of_cases(cases)
        scores = np.array([score_of(s, self.evidence, language) for s in found])
        threshold = threshold_of(cases, scores)
        tuned = np.full(len(cases), threshold)
        verdicts = Verdicts(self.evidence, [language] * len(cases), scores, tuned, [s.status for s in found])
        session.load(claim=claim_table(cases), verdict=verdict_table(identity, session.run, cases, [verdicts]))
        return threshold

    def _cases(self, relation: str, language: str) -> "Sequence[KnownClaim]":
        """Return the claims of training facts, made once, that a threshold is tuned on."""
        if (relation, language) not in self.cases:
            facts = [fact for fact in self.session.world.facts if fact.relation == relation]
            self.cases[relation, language] = self.session.claims(facts, [language], []).cases
        return self.cases[relation, language]

    def _identity(self, kind: str, relation: str, language: str) -> int:
        """Return a hash of all that a threshold hangs on, the training claims among it."""
        session, options = self.session, self.session.options
        sets = {
            name: sorted([*key, list(n)] for key, n in own.items() if key[0] == self.evidence)
            for name, own in session.neurons.items()
        }
        parts = (session.run, options.definition, options.templates, options.seed, self.evidence, relation, language)
        cases = [case.id for case in self._cases(relation, language)]
        return stable_id(kind, *parts, sets, cases, *session.number_type)


_REASONS = {
    "unspellable": "the tokenizer cannot spell the object or the subject",
    "too_long": "the claim is longer than the model allows",
    "no_subject": "no token is the subject's last one, or it is its neighbour's too",
    "nan": "the model's output holds NaN",
    "unresolved": "the scores are not exact enough for the run's tolerance",
}

_THRESHOLD = "SELECT threshold FROM verdict WHERE evaluation = ? AND threshold IS NOT NULL LIMIT 1"
