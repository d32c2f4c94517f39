"""How an edit is made."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

EditMethod = Literal["fit", "kn"]


class EditSettings(BaseModel):
    """The settings of an edit (METHOD 5); equal settings, model, facts and neurons give equal columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: EditMethod = "fit"
    steps: int = Field(60, ge=1, description="most evaluations of the loss")
    settle: int = Field(5, ge=0, description="evaluations more once the margin is reached, for what is to be kept")
    margin: float = Field(2.0, ge=0, description="log-odds that the new answer must have")
    keep_weight: float = Field(10.0, ge=0, description="weight of the divergence on the prompts to be kept")
    keep_facts: int = Field(48, ge=0, description="facts that the fit holds, half of the same relation")
    lambda1: float = Field(1.0, description="how much of the old answer's embedding `kn` takes away")
    lambda2: float = Field(8.0, description="how much of the new answer's embedding `kn` adds")
    seed: int = 0
