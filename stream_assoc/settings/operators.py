"""Settings that say whose word counts beyond that of a producer."""

from typing import Self

from pydantic import Field, SecretStr, model_validator

from stream_assoc.settings.section import Section


class OperatorSettings(Section):
    """Who may have a batch take the place of another, or release one from quarantine."""

    secret: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Signs the headers stream_assoc.reprocessing and stream_assoc.release; the same for the daemons, "
        "for `stream-assoc dlq` and for producers that re-process visits. Unset: nobody may set them.",
    )
    trust_unsigned: bool = Field(
        default=False,
        description="Whether these headers count without a signature. Only where nobody but operators can write to "
        "kafka.input_topic.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.secret is not None and self.trust_unsigned:
            raise ValueError("operators.secret signs nothing that matters with operators.trust_unsigned; keep one")
        return self
