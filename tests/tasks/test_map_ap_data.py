"""Detections of the science pipelines become DIASources."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.table import MaskedColumn, QTable, Table
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.core.model.types import FloatArray
from stream_assoc.tasks.conversions import bounding_box_size
from stream_assoc.tasks.exceptions import CatalogError, ExposureError, TaskConfigError
from stream_assoc.tasks.exposure import Exposure
from stream_assoc.tasks.flags import read_flag_map
from stream_assoc.tasks.map_ap_data import MapApDataConfig, MapApDataTask, MapDiaSourceConfig, MapDiaSourceTask
from stream_assoc.tasks.tables import dia_source_batch
from tests.pipeline.skies import BIG, MJD, square

FLAGS = read_flag_map()["flags"]
EXPOSURE = Exposure(
    1234, 42, "g", MJD, square(150.0, 2.0), exposureTime=30.0, photoCalib=3.0, photoCalibErr=0.1, pixelScale=0.2
)
POSITIVE, NEGATIVE = np.array([100.0, -80.0, 50.0]), np.array([-60.0, 90.0, 50.0])


def detections(**columns):
    """Return three detections with everything that a catalogue of the science pipelines may have."""
    n = 3
    fluxes = {
        f"{name}_{kind}": np.linspace(1.0, 3.0, n) * scale
        for name in ("slot_ApFlux", "slot_PsfFlux", "ip_diffim_forced_PsfFlux")
        for kind, scale in (("instFlux", 1000.0), ("instFluxErr", 10.0))
    }
    dipole = {
        "ip_diffim_DipoleFit_pos_instFlux": POSITIVE,
        "ip_diffim_DipoleFit_neg_instFlux": NEGATIVE,
        "ip_diffim_DipoleFit_pos_instFluxErr": np.full(n, 3.0),
        "ip_diffim_DipoleFit_neg_instFluxErr": np.full(n, 4.0),
        "ip_diffim_DipoleFit_separation": np.array([1.0, 2.0, 3.0]),
        "ip_diffim_DipoleFit_classification": np.array([True, False, True]),
    }
    return {
        "id": np.array([BIG + 1, BIG + 2, BIG + 3]),
        "parent": np.array([0, BIG + 1, 0]),
        "coord_ra": np.radians([150.0, 150.01, 150.02]),
        "coord_dec": np.radians([2.0, 2.01, 2.02]),
        "slot_Centroid_x": np.array([10.0, 20.0, 30.0]),
        "slot_Centroid_y": np.array([11.0, 21.0, 31.0]),
        "slot_Centroid_xErr": np.full(n, 0.1),
        "slot_Centroid_yErr": np.full(n, 0.2),
        "slot_Shape_xx": np.array([4.0, 5.0, 6.0]),
        "bbox_minX": np.array([5, 15, 25]),
        "bbox_maxX": np.array([13, 24, 35]),
        "bbox_minY": np.array([8, 20, 26]),
        "bbox_maxY": np.array([14, 23, 36]),
        **fluxes,
        **dipole,
        **{flag.name: np.array([flag.bit % 2 == 0, False, True]) for flag in FLAGS},
        **columns,
    }


def mapped(catalog, exposure=EXPOSURE, **settings):
    return MapDiaSourceTask(catalog.keys(), MapDiaSourceConfig(**settings)).run(pa.table(catalog), exposure)


@pytest.mark.parametrize("kind", [Table, QTable, pd.DataFrame, pa.table])
def test_any_kind_of_catalogue_gives_the_same(kind) -> None:
    catalog = detections()
    ours = MapDiaSourceTask(catalog.keys()).run(kind(catalog), EXPOSURE)
    pd.testing.assert_frame_equal(ours, mapped(catalog))


def test_identifiers_survive() -> None:
    sources = mapped(detections())
    assert sources.diaSourceId.dtype == "int64"
    assert sources.diaSourceId.tolist() == [BIG + 1, BIG + 2, BIG + 3]
    assert sources.parentDiaSourceId.dtype == "Int64"
    assert sources.parentDiaSourceId.tolist() == [0, BIG + 1, 0]


def test_columns_are_copied_and_the_exposure_is_told() -> None:
    sources = mapped(detections())
    assert sources.x.tolist() == [10.0, 20.0, 30.0]
    assert set(sources.visit) == {1234}
    assert set(sources.detector) == {42}
    assert set(sources.band) == {"g"}
    assert set(sources.midpointMjdTai) == {MJD}
    np.testing.assert_allclose(sources.ra, [150.0, 150.01, 150.02], rtol=1e-15)


def test_fluxes_are_calibrated() -> None:
    sources = mapped(detections())
    np.testing.assert_allclose(sources.psfFlux, [3000.0, 6000.0, 9000.0], rtol=1e-6)
    # In quadrature: 10 counts of noise at 3 nJy a count, and 1000 counts at an uncertainty of 0.1 nJy a count.
    np.testing.assert_allclose(sources.psfFluxErr[0], np.hypot(30.0, 100.0), rtol=1e-6)


def test_a_local_calibration_takes_the_place_of_the_mean_one() -> None:
    uncalibrated = Exposure(1, 2, "g", MJD, square(1, 1), pixelScale=0.2)
    sources = mapped(detections(base_LocalPhotoCalib=np.array([1.0, 2.0, 4.0])), uncalibrated)
    np.testing.assert_allclose(sources.psfFlux, [1000.0, 4000.0, 12000.0], rtol=1e-6)
    np.testing.assert_allclose(sources.psfFluxErr, [10.0, 40.0, 120.0], rtol=1e-6)


def test_dipoles() -> None:
    sources = mapped(detections())
    np.testing.assert_allclose(sources.dipoleMeanFlux, [240.0, 255.0, 150.0], rtol=1e-6)
    np.testing.assert_allclose(sources.dipoleMeanFluxErr, 7.5, rtol=1e-6)
    np.testing.assert_allclose(sources.dipoleFluxDiff, [120.0, -30.0, 0.0], rtol=1e-6)
    np.testing.assert_allclose(sources.dipoleFluxDiffErr, 15.0, rtol=1e-6)
    np.testing.assert_allclose(sources.dipoleLength, [0.2, 0.4, 0.6], rtol=1e-6)
    assert sources.isDipole.tolist() == [True, False, True]


def test_lengths_use_the_local_wcs_where_there_is_one() -> None:
    element = np.radians(0.5 / 3600.0)
    local = dict(zip(("1_1", "1_2", "2_1", "2_2"), (element, 0.0, 0.0, -element), strict=True))
    catalog = detections(**{f"base_LocalWcs_CDMatrix_{name}": np.full(3, value) for name, value in local.items()})
    sources = mapped(catalog)
    np.testing.assert_allclose(sources.dipoleLength, [0.5, 1.0, 1.5], rtol=1e-6)
    np.testing.assert_allclose(sources.ixx, [1.0, 1.25, 1.5], rtol=1e-6)


def test_degrees_of_astropy_stay_degrees() -> None:
    catalog = Table(detections(coord_ra=np.array([150.0, 150.01, 150.02])))
    catalog["coord_ra"].unit = "deg"
    sources = MapDiaSourceTask(catalog.colnames).run(catalog, EXPOSURE)
    assert sources.ra.tolist() == [150.0, 150.01, 150.02]


def test_bounding_boxes() -> None:
    assert mapped(detections()).bboxSize.tolist() == [10, 10, 10]


def edges(
    left: float, right: float, bottom: float, top: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    return np.array([left]), np.array([right]), np.array([bottom]), np.array([top])


@given(st.floats(-5, 25), st.floats(-5, 25), st.integers(1, 20), st.integers(1, 20))
def test_a_bounding_box_holds_the_footprint_around_any_centroid_in_it(
    x: float, y: float, width: int, height: int
) -> None:
    box = edges(0.0, width - 1.0, 0.0, height - 1.0)
    (size,) = bounding_box_size(np.array([x]), np.array([y]), box)
    assert size <= 2 * max(width, height)
    if 0 <= x <= width - 1 and 0 <= y <= height - 1:
        assert size >= 2 * max(x, width - 1 - x, y, height - 1 - y)


def test_a_bounding_box_without_a_centroid_is_the_largest() -> None:
    box = edges(0.0, 3.0, 0.0, 9.0)
    assert bounding_box_size(np.array([np.nan]), np.array([1.0]), box).tolist() == [20]


def test_flags_are_packed_and_unpacked() -> None:
    sources = mapped(detections())
    assert sources["flags"].tolist() == [
        sum(2**flag.bit for flag in FLAGS if flag.bit % 2 == 0),
        0,
        sum(2**flag.bit for flag in FLAGS),
    ]
    assert sources.pixelFlags_crCenter.tolist() == [True, False, True]
    assert "flags" not in mapped(detections(), doPackFlags=False)


def test_missing_columns_and_flags_are_key_errors() -> None:
    catalog = detections()
    del catalog["base_PixelFlags_flag_crCenter"]
    with pytest.raises(KeyError, match="base_PixelFlags_flag_crCenter"):
        MapDiaSourceTask(catalog)
    with pytest.raises(KeyError, match="the catalogue has no column base_PixelFlags_flag_crCenter"):
        MapDiaSourceTask(detections()).run(pa.table(catalog), EXPOSURE)
    with pytest.raises(KeyError, match="slot_Centroid_x"):
        MapDiaSourceTask([name for name in detections() if name != "slot_Centroid_x"])
    with pytest.raises(KeyError, match="the catalogue has no column parent, slot_Centroid_x"):
        MapDiaSourceTask(detections()).run(pa.table({"id": [1]}), EXPOSURE)


def test_masked_values_are_missing() -> None:
    catalog = Table(detections())
    catalog["slot_PsfFlux_instFlux"] = MaskedColumn([1.0, 2.0, 3.0], mask=[False, True, False])
    sources = MapDiaSourceTask(catalog.colnames).run(catalog, EXPOSURE)
    assert sources.psfFlux.isna().tolist() == [False, True, False]


def test_a_calibration_nobody_gave_is_told() -> None:
    with pytest.raises(ExposureError, match=r"Exposure\.photoCalib"):
        mapped(detections(), Exposure(1, 2, "g", MJD, square(1, 1)))
    with pytest.raises(ExposureError, match=r"Exposure\.pixelScale"):
        mapped(detections(), Exposure(1, 2, "g", MJD, square(1, 1), photoCalib=1.0))


def test_a_calibrated_flux_must_be_copied() -> None:
    with pytest.raises(TaskConfigError, match="'slot_GaussianFlux'"):
        mapped(detections(), calibrateColumns=("slot_GaussianFlux",))


def test_the_result_is_what_the_pipeline_takes() -> None:
    sources = dia_source_batch(mapped(detections()))
    assert sources.column("diaSourceId").to_pylist() == [BIG + 1, BIG + 2, BIG + 3]
    assert sources.column("bboxSize").to_pylist() == [10, 10, 10]


def test_the_general_task_copies_and_renames() -> None:
    config = MapApDataConfig({"id": "diaSourceId", "slot_PsfFlux_instFlux": "counts"})
    copied = MapApDataTask(detections(), config=config).run(Table(detections()))
    assert copied.columns.tolist() == ["diaSourceId", "counts"]
    assert copied.diaSourceId.tolist() == [BIG + 1, BIG + 2, BIG + 3]


def test_the_general_task_fills_an_output_schema() -> None:
    output = pa.schema([("diaSourceId", pa.int64()), ("flux", pa.float32()), ("other", pa.float32())])
    config = MapApDataConfig({"id": "diaSourceId", "slot_PsfFlux_instFlux": "flux"})
    copied = MapApDataTask(detections(), output, config).run(pd.DataFrame(detections()))
    assert copied.flux.dtype == np.float32
    assert copied.other.isna().all()
    with pytest.raises(KeyError, match="the output schema has no column flux"):
        MapApDataTask(detections(), pa.schema([("diaSourceId", pa.int64())]), config)


def with_unit(name: str, unit: str, **columns: object) -> Table:
    catalog = Table(detections(**columns))
    catalog[name].unit = unit
    return catalog


@pytest.mark.parametrize(
    ("unit", "degree"),
    [("deg", 1.0), ("rad", np.radians(1.0)), ("hourangle", 1 / 15), ("arcsec", 3600.0), ("mas", 3.6e6)],
)
def test_coordinates_come_in_any_angle(unit: str, degree: float) -> None:
    catalog = with_unit("coord_ra", unit, coord_ra=np.array([150.0, 150.01, 150.02]) * degree)
    sources = MapDiaSourceTask(catalog.colnames).run(catalog, EXPOSURE)
    np.testing.assert_allclose(sources.ra, [150.0, 150.01, 150.02], rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("coord_ra", "s"),
        ("slot_PsfFlux_instFlux", "nJy"),
        ("slot_PsfFlux_instFluxErr", "mJy"),
        ("ip_diffim_DipoleFit_pos_instFlux", "nJy"),
        ("ip_diffim_DipoleFit_separation", "arcsec"),
        ("slot_Shape_xx", "arcsec2"),
        ("slot_Centroid_x", "mm"),
    ],
)
def test_another_kind_of_unit_is_refused(name: str, unit: str) -> None:
    catalog = with_unit(name, unit)
    with pytest.raises(CatalogError, match=f"column '{name}' is in {unit}"):
        MapDiaSourceTask(catalog.colnames).run(catalog, EXPOSURE)


def test_a_calibration_that_is_none_spoils_its_own_row_only() -> None:
    for bad in (np.nan, 0.0, -1.0, np.inf):
        sources = mapped(detections(base_LocalPhotoCalib=np.array([1.0, bad, 4.0])))
        assert sources.psfFlux.isna().tolist() == [False, True, False]
        assert sources.psfFluxErr.isna().tolist() == [False, True, False]
        assert sources.dipoleMeanFlux.isna().tolist() == [False, True, False]


def test_columns_that_nobody_maps_stop_nothing() -> None:
    catalog = Table(detections(cutout=np.zeros((3, 5, 5)), anything=np.array([{}, 1, "text"], dtype=object)))
    assert len(MapDiaSourceTask(catalog.colnames).run(catalog, EXPOSURE)) == 3
