"""Simulated images show what the simulation knows, where it knows it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stream_assoc.core.model.batch import ImageUris
from stream_assoc.messaging.avro.batch_decoder import BatchDecoder
from stream_assoc.photometry.cutouts.cutter import Cutter
from stream_assoc.photometry.fits import read_payload
from stream_assoc.photometry.image_store import ImageStore
from stream_assoc.photometry.measurement import measure
from stream_assoc.tools.replay.capture import read_capture
from stream_assoc.tools.replay.messages import BatchMessages
from stream_assoc.tools.simulation.config import SimulationConfig
from stream_assoc.tools.simulation.files import CAPTURE_NAME, IMAGES_NAME, read_light, write_simulation
from stream_assoc.tools.simulation.images import (
    TEMPLATE_EXPOSURES,
    DetectorImages,
    expected_fluxes,
    pixels_to_edge,
    with_images,
)
from stream_assoc.tools.simulation.night import simulate
from tests.photometry.skies import read_exposure

CONFIG = SimulationConfig(n_visits=2, n_detectors=2, n_fields=1, seed=4, image_pixels=256, pair_minutes=2.0)


def paths(images: ImageUris) -> list[str]:
    assert images.difference is not None
    assert images.science is not None
    return [uri.removeprefix("file://") for uri in (images.difference, images.science)]


def template(images: ImageUris) -> str:
    assert images.template is not None
    return images.template.removeprefix("file://")


@pytest.mark.parametrize("dec", [2.2, -89.5])
def test_images_are_those_of_their_batch(tmp_path: Path, dec: float) -> None:
    config = CONFIG.model_copy(update={"dec": dec, "ra": 0.01})
    for simulated in simulate(config):
        assert simulated.exposed is not None
        batch = with_images(simulated.batch, DetectorImages(config, simulated.exposed), tmp_path)
        assert batch.digest != simulated.batch.digest
        for path in paths(batch.images):
            exposure = read_exposure(path)
            assert exposure.image.shape == (256, 256)
            taken = exposure.visit_info
            assert (taken.visit, taken.detector, taken.band) == (*batch.id, batch.band)
            ra = (exposure.footprint()[:, 0] - batch.footprint[:, 0] + 180.0) % 360.0 - 180.0
            assert np.abs(ra * np.cos(np.radians(dec))).max() < 1e-9
            assert np.abs(exposure.footprint()[:, 1] - batch.footprint[:, 1]).max() < 1e-9


def test_fluxes_are_as_expected_at_the_light_beside_it_and_where_nothing_is(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    pulls = []
    for simulated in simulate(CONFIG):
        assert simulated.exposed is not None
        batch = with_images(simulated.batch, DetectorImages(CONFIG, simulated.exposed), tmp_path)
        light = simulated.exposed.light
        beside = random.normal(0.0, 1.0 / 3600.0, (2, len(light)))
        footprint = batch.footprint
        anywhere = random.uniform(footprint.min(axis=0), footprint.max(axis=0), (100, 2))
        ra = np.concatenate([light.ra, light.ra + beside[0], anywhere[:, 0]])
        dec = np.concatenate([light.dec, light.dec + beside[1], anywhere[:, 1]])
        inside = pixels_to_edge(tmp_path, batch.id, ra, dec) > 4.0
        ra, dec = ra[inside], dec[inside]
        for path, expected in zip(paths(batch.images), expected_fluxes(CONFIG, light, ra, dec), strict=True):
            exposure = read_exposure(path)
            fluxes = measure(exposure, *exposure.pixels_of(ra, dec))
            pulls.append((fluxes.flux - expected) / np.hypot(fluxes.error, 0.0003 * np.abs(expected)))
    pull = np.concatenate(pulls)
    # Positions share light and noise with their neighbours, so they are fewer than they seem.
    assert abs(pull.mean()) < 0.1
    assert pull.std() == pytest.approx(1.0, abs=0.1)


def test_a_template_shows_the_science_image_without_what_changed(tmp_path: Path) -> None:
    for simulated in simulate(CONFIG):
        assert simulated.exposed is not None
        batch = with_images(simulated.batch, DetectorImages(CONFIG, simulated.exposed), tmp_path)
        light = simulated.exposed.light
        inside = pixels_to_edge(tmp_path, batch.id, light.ra, light.dec) > 4.0
        psfFlux, scienceFlux = expected_fluxes(CONFIG, light, light.ra[inside], light.dec[inside])
        deep, science = read_exposure(template(batch.images)), read_exposure(paths(batch.images)[1])
        assert (deep.visit_info.visit, deep.visit_info.band) == (None, batch.band)
        assert deep.variance.mean() == pytest.approx(science.variance.mean() / TEMPLATE_EXPOSURES, rel=1e-3)
        fluxes = measure(deep, *deep.pixels_of(light.ra[inside], light.dec[inside]))
        pull = (fluxes.flux - scienceFlux + psfFlux) / np.hypot(fluxes.error, 0.001 * scienceFlux)
        assert abs(np.median(pull)) < 0.2
        assert np.abs(pull).max() < 6.0


def test_cutouts_show_the_sources_of_a_batch(tmp_path: Path) -> None:
    simulated = next(one for one in simulate(CONFIG) if len(one.batch) > 10)
    assert simulated.exposed is not None
    batch = with_images(simulated.batch, DetectorImages(CONFIG, simulated.exposed), tmp_path)
    sources = pa.Table.from_batches([batch.diaSources])[:20]
    ra, dec = (sources[name].to_numpy() for name in ("ra", "dec"))
    cutouts = Cutter(ImageStore([str(tmp_path)])).load(batch.images, batch.id, batch.band).cut(sources)
    assert cutouts.missing == ()
    for uri, stamps in zip(
        [*paths(batch.images), template(batch.images)],
        (cutouts.stamps.difference, cutouts.stamps.science, cutouts.stamps.template),
        strict=True,
    ):
        whole = read_exposure(uri)
        flux = measure(whole, *whole.pixels_of(ra, dec)).flux
        for source, stamp in enumerate(stamps):
            exposure = read_payload(stamp.as_py())
            x, y = exposure.pixels_of(ra[source : source + 1], dec[source : source + 1])
            assert measure(exposure, x, y).flux[0] == pytest.approx(flux[source], rel=1e-5, abs=1e-3)


def test_what_is_written_is_named_and_the_same_seed_gives_the_same_images(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_simulation(CONFIG, tmp_path / name, BatchMessages("dia-sources"))
    batches = [BatchDecoder().decode(one.message.value) for one in read_capture(tmp_path / "one" / CAPTURE_NAME)]
    files = sorted((tmp_path / "one" / IMAGES_NAME).iterdir())
    named = [path for one in batches for path in paths(one.images)]
    assert sorted(named) == [str(file) for file in files if not file.stem.endswith("template")]
    assert len(files) == 3 * len(batches)
    for file in files:
        assert file.read_bytes() == (tmp_path / "other" / IMAGES_NAME / file.name).read_bytes()
    light = read_light(tmp_path / "one")
    assert set(zip(light["visit"].to_pylist(), light["detector"].to_pylist(), strict=True)) == {
        tuple(one.id) for one in batches
    }


def test_no_images_unless_asked_for(tmp_path: Path) -> None:
    write_simulation(CONFIG.model_copy(update={"image_pixels": 0}), tmp_path, BatchMessages("dia-sources"))
    assert not (tmp_path / IMAGES_NAME).exists()
    assert all(one.exposed is None for one in simulate(CONFIG.model_copy(update={"image_pixels": 0})))
