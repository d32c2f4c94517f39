"""What a tokenizer marks a missing piece of text with, and the languages that it marks texts with."""

from typing import Any

from atlas.errors import TokenError


def sentinel_id(tokenizer: Any, number: int) -> int | None:
    """Return T5's sentinel `<extra_id_number>`, None for a tokenizer without."""
    name = f"<extra_id_{number}>"
    found = (tokenizer.backend_tokenizer.token_to_id(word) for word in (name, f"▁{name}"))
    return next((token for token in found if token is not None), None)


def set_language(tokenizer: Any, language: str) -> None:
    """Let a tokenizer that marks texts with their language (mBART) mark them with `language`; TokenError if unknown."""
    if getattr(tokenizer, "src_lang", None) is None:
        return
    stem = language.split("-")[0] + "_"
    codes = sorted(word for word in tokenizer.all_special_tokens if word.startswith(stem))
    if not codes:
        raise TokenError(f"The tokenizer has no mark for the language {language!r}; leave the language out.")
    if tokenizer.src_lang != codes[0]:
        tokenizer.src_lang = codes[0]
