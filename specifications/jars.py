"""Where the model checker's jar comes from."""

from pathlib import Path
from typing import Final

from tests.jars import JarsUnavailableError, jars_of
from tests.parts import MODELS

POM: Final = Path(__file__).with_name("pom.xml")

CACHE: Final = Path(__file__).parents[1] / ".cache" / "tlc"


def tlc_jars() -> Path:
    """Return the folder with TLC's jar, fetched from Maven Central the first time.

    Raises
    ------
    JarsUnavailableError
        If there is no Java or no Maven, or Maven cannot resolve the jar.
    """
    if not MODELS.is_here:
        raise JarsUnavailableError(MODELS.reason)
    return jars_of(POM, CACHE)
