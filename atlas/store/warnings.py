"""The fixed vocabulary of usage warnings: what to know before a number is trusted."""

from enum import StrEnum


class UsageWarning(StrEnum):
    """A warning on rows and pages; the view `usage_warning` says where each holds."""

    SINGLE_TEMPLATE = "single template"
    SINGLE_LANGUAGE = "single language"
    NOT_CONVERGED = "not converged"
    UNKNOWN_ANSWER = "model does not know the answer"
    UNKNOWN_WORDS = "words that the tokenizer does not know"
    REWORDED = "reworded prompts"
    REVISION_NOT_PINNED = "model revision not pinned"

    @property
    def meaning(self) -> str:
        """What the warning says, in a sentence."""
        return _MEANINGS[self]


_MEANINGS = {
    UsageWarning.SINGLE_TEMPLATE: "The fact has one usable prompt in the language: its wording may be what was found.",
    UsageWarning.SINGLE_LANGUAGE: "The fact has usable prompts in one language: no neuron is language-independent.",
    UsageWarning.NOT_CONVERGED: "Some layer's scores miss the tolerance of the completeness check.",
    UsageWarning.UNKNOWN_ANSWER: "For no usable prompt is the answer the model's own choice.",
    UsageWarning.UNKNOWN_WORDS: "In some usable prompt, words beside the answer are unknown to the model's vocabulary.",
    UsageWarning.REWORDED: "Some usable prompt shows examples first, or states its sentence and then asks.",
    UsageWarning.REVISION_NOT_PINNED: "The model was loaded without a revision: only the digest names its weights.",
}
