"""``stream-assoc simulate``: make batches of a sky whose truth is known."""

from pathlib import Path
from typing import Annotated

import typer

from stream_assoc.apps.cli.app import CommandError, ConfigOption, SetOption, closing, settings_of
from stream_assoc.apps.cli.sending import messages_to

SIMULATE_HELP = closing(
    "stream-assoc simulate night/",
    "stream-assoc simulate week/ --nights 7 --visits 200 --detectors 21 --seed 3",
)

IMAGE_PIXELS = 512
"""Pixels along a side of the images: 1.5 arcsec each, so that a night of them is small."""


def simulate(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    folder: Annotated[Path, typer.Argument(help="Where to write the capture, the truth and the parameters.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    nights: Annotated[int, typer.Option(min=1, help="Nights.")] = 1,
    visits: Annotated[int, typer.Option(min=1, help="Visits a night.")] = 100,
    detectors: Annotated[int, typer.Option(min=1, max=256, help="Detectors of the focal plane.")] = 9,
    images: Annotated[
        bool, typer.Option("--images", help="Write a difference, a science and a template image a batch.")
    ] = False,
    fields: Annotated[int, typer.Option(min=1, help="Overlapping fields that the visits take in turn.")] = 3,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Write a simulated survey; `stream-assoc replay FOLDER/batches.avro` sends it.

    Needs no server, but for the Schema Registry where one is set: messages carry
    the id that it gives their schema. FOLDER gets batches.avro, a capture; truth.parquet, what
    each source is; and simulation.json, the parameters.
    """
    from pydantic import ValidationError

    from stream_assoc.tools.simulation.config import SimulationConfig
    from stream_assoc.tools.simulation.files import (
        CAPTURE_NAME,
        IMAGES_NAME,
        LIGHT_NAME,
        TRUTH_NAME,
        write_simulation,
    )

    kafka = settings_of(config, set_).kafka
    try:
        survey = SimulationConfig(
            seed=seed,
            n_nights=nights,
            n_visits=visits,
            n_detectors=detectors,
            n_fields=fields,
            image_pixels=IMAGE_PIXELS if images else 0,
        )
    except ValidationError as error:
        raise CommandError(
            "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
        ) from None
    report = write_simulation(survey, folder, messages_to(kafka.input_topic, kafka))
    typer.echo(
        f"{report.n_batches} batches of {report.n_sources} sources: {folder / CAPTURE_NAME}; "
        f"what they are: {folder / TRUTH_NAME}."
    )
    if images:
        typer.echo(
            f"Their images, read by a daemon that has this folder among images.roots: {folder / IMAGES_NAME}; "
            f"what shines in them: {folder / LIGHT_NAME}."
        )
