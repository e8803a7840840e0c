from pathlib import Path

import pytest

from stream_assoc.tools.transform.exceptions import MappingError
from stream_assoc.tools.transform.mapping import load_mapping, packaged_mappings
from tests.tools.transform.tables import MINIMAL


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("margin_arcsec = 10.0", "margin_arcsec = -1.0"), "footprint.margin_arcsec"),
        (('visit = "visit"', ""), "batch.visit: Field required"),
        (("[footprint]", '[columns]\nobjectId = "id"\n[footprint]'), "columns names objectId"),
        (("same_names", 'absent = ["psFlux"]\nsame_names'), "absent names psFlux"),
        (
            ("same_names", 'columns = { x = "a" }\nabsent = ["x"]\nsame_names'),
            r"absent names x, which \[columns\] has a rule for",
        ),
        (("[footprint]", '[columns]\nra = { formula = "1+1" }\n[footprint]'), "columns.ra.formula"),
        (
            ("[footprint]", "[columns]\nra = { column = [] }\n[footprint]"),
            "exactly one of column, constant, ratio, ab_flux",
        ),
        (("[footprint]", "[footprint"), "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(MINIMAL.replace(*change))
    with pytest.raises(MappingError, match=rf"wrong\.toml.*{message}"):
        load_mapping(file)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(MappingError, match=r"wrong\.toml is not TOML"):
        load_mapping(tmp_path / "wrong.toml")


def test_an_unknown_name_lists_the_packaged_ones() -> None:
    with pytest.raises(MappingError, match="decam, rubin, rubin_alert, rubin_dp1, ztf, ztf_alert"):
        load_mapping("lsst")


@pytest.mark.parametrize("name", packaged_mappings())
def test_every_packaged_mapping_loads(name: str) -> None:
    assert load_mapping(name).name == name


def test_the_mapping_of_the_documentation_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "tables.md").read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(page.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    mapping = load_mapping(tmp_path / "mine.toml")
    assert {"exposure", "mjd_obs", "time_processed", "flux_ujy", "snr", "id", "raErr"} <= mapping.inputs()
    assert mapping.rule("scienceFlux") is None
