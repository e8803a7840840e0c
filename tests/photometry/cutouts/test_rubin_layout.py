"""Cut again from themselves, Rubin's cutouts come out as they were."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from stream_assoc.photometry.cutouts.boxes import Sources, boxes_of
from stream_assoc.photometry.cutouts.files import written
from stream_assoc.photometry.fits import read_payload

pytestmark = pytest.mark.real_data

OURS_ALONE = {"CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2", "LONPOLE", "RADESYS"}
"""What makes the WCS one of the sky."""

THEIRS_ALONE = {"ROTPA"}
"""The rotation of the camera, which newer ones carry and nothing here knows."""


@pytest.fixture(scope="module")
def sources(shared_data: Path) -> pd.DataFrame:
    rubin = shared_data / "rubin"
    detections = pd.read_parquet(rubin / "sources.parquet", filters=[("_trigger", "=", True)])
    cutouts = pd.read_parquet(rubin / "cutouts.parquet")
    return cutouts.merge(detections.drop_duplicates("diaSourceId"), on="diaSourceId", validate="one_to_one")


def cut_again(payload: bytes, row) -> bytes:
    header = fits.getheader(io.BytesIO(payload))
    exposure = replace(read_payload(payload), origin=(header["CUTMINX"] + 1, header["CUTMINY"] + 1))
    ra, dec, x, y = (np.array([getattr(row, name)], np.float64) for name in ("ra", "dec", "x", "y"))
    one = Sources(ra, dec, x, y, np.clip([row.bboxSize], 30, 102))
    file: bytes = written(exposure, boxes_of(exposure, one), one)[0].as_py()
    return file


@pytest.mark.parametrize("kind", ["cutoutDifference", "cutoutScience", "cutoutTemplate"])
def test_rubins_cutouts_come_out_as_they_were(sources: pd.DataFrame, kind: str) -> None:
    # The first lies at an edge.
    for row in sources.iloc[::4].itertuples():
        payload = getattr(row, kind)
        theirs = fits.open(io.BytesIO(payload))
        if theirs["PSFIMAGE"].header["NAXIS1"] != theirs["PSFIMAGE"].header["NAXIS2"]:
            # Ours are square.
            continue
        again = cut_again(payload, row)
        assert len(again) == len(payload)
        ours = fits.open(io.BytesIO(again))
        assert [hdu.name for hdu in ours] == [hdu.name for hdu in theirs] == ["PRIMARY", "UNCERT", "PSFIMAGE"]
        for mine, rubins in zip(ours, theirs, strict=True):
            keywords = [key for key in mine.header if key not in OURS_ALONE]
            assert keywords == [key for key in rubins.header if key not in THEIRS_ALONE]
            for key in keywords:
                if isinstance(rubins.header[key], float):
                    assert mine.header[key] == pytest.approx(rubins.header[key], rel=1e-7, abs=2e-7)
                else:
                    assert mine.header[key] == rubins.header[key]
            assert mine.data.dtype == rubins.data.dtype
        assert np.array_equal(ours[0].data, theirs[0].data, equal_nan=True)
        assert np.array_equal(ours[1].data, theirs[1].data)
        # Ours are scaled to a sum of one.
        assert ours[2].data == pytest.approx(theirs[2].data, rel=3e-6, abs=1e-12)
