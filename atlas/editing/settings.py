"""How an edit is made."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from atlas.editing import METHODS


def _known(name: str) -> str:
    if name not in METHODS:
        raise PydanticCustomError("method", "the method is one of {among}", {"among": [*METHODS]})
    return name


class EditSettings(BaseModel):
    """The settings of an edit (METHOD 5); equal settings, model, facts and neurons give equal columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Annotated[str, AfterValidator(_known)] = "fit"
    steps: int = Field(80, ge=1, description="most optimiser steps")
    patience: int = Field(15, ge=1, description="steps without progress after which the fit gives up")
    rate: float = Field(0.2, gt=0, description="step size, as a share of the layer's root-mean-square column entry")
    margin: float = Field(2.0, ge=0, description="log-odds by which the new answer must lead every other token")
    keep_weight: float = Field(100.0, ge=0, description="weight of the divergence on the prompts to be kept")
    keep_facts: int = Field(80, ge=0, description="facts that the fit holds at most, half of the same relation")
    lambda1: float = Field(1.0, description="how much of the old answer's embedding `kn` takes away")
    lambda2: float = Field(8.0, description="how much of the new answer's embedding `kn` adds")
    seed: int = 0
