"""`DiaObjectCalculationTask` against the numbers of upstream's own code, and its manners on data frames."""

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from stream_assoc.core.model.types import BANDS
from stream_assoc.core.statistics import ALL_PLUGINS, PRODUCTION_PLUGINS, registry
from stream_assoc.core.statistics.moments import SigmaFlux
from stream_assoc.core.statistics.registry import OPTIONAL_PLUGINS
from stream_assoc.tasks import plugins as tasks_plugins
from stream_assoc.tasks.dia_object_calculation import (
    DiaObjectCalculationConfig,
    DiaObjectCalculationResult,
    DiaObjectCalculationTask,
)
from stream_assoc.tasks.exceptions import CatalogError, MissingColumnError, TaskConfigError
from stream_assoc.tasks.plugin import DiaObjectCalculationPlugin, DiaObjectCalculationPluginConfig, register

GOLDEN = Path(__file__).parents[1] / "data" / "stats"
BIG = 2**62 + 1

# Relative and absolute, as far as upstream's own arithmetic allows.
TOLERANCES = {
    "psfFluxLinearIntercept": (1e-9, 1e-3),
    "psfFluxLinearSlope": (1e-9, 1e-8),
    "psfFluxStetsonJ": (1e-6, 1e-6),
    "psfFluxChi2": (1e-9, 1e-12),
    "psfFluxErrMean": (2e-7, 0.0),
    # One minus a power close to 1.
    "multiFap": (1e-8, 0.0),
}


def golden(name: str) -> pd.DataFrame:
    return pd.read_parquet(GOLDEN / f"{name}.parquet")


def expected_of(name: str) -> pd.DataFrame:
    return golden(name).set_index("diaObjectId").sort_index()


def compute(
    plugins: tuple[str, ...], objects: pd.DataFrame, sources: pd.DataFrame, **kwargs: Any
) -> DiaObjectCalculationResult:
    task = DiaObjectCalculationTask(config=DiaObjectCalculationConfig(plugins=plugins, **kwargs))
    return task.run(objects, sources, objects["diaObjectId"].to_numpy(), BANDS)


def assert_as_upstream(values: pd.DataFrame, expected: pd.DataFrame) -> None:
    unstable = golden("meta").set_index("diaObjectId")["category"].isin(["same_time", "pairwise_same_time"])
    for name in expected.columns.difference(["ra", "dec", "pixelId"]):
        wanted, got = expected[name].astype(np.float64), values[name].astype(np.float64)
        if name.endswith("Ndata"):
            # The APDB's column is NOT NULL: no source is 0 points.
            wanted = wanted.fillna(0.0)
        if name.endswith("MaxSlope"):
            # Upstream's sort is unstable where times are equal.
            comparable = ~unstable.loc[wanted.index]
            wanted, got = wanted[comparable], got[comparable]
        relative, absolute = TOLERANCES.get(name.split("_")[-1], (1e-9, 0.0))
        np.testing.assert_allclose(got, wanted, rtol=relative, atol=absolute, err_msg=name)


def test_every_column_is_upstreams() -> None:
    expected = expected_of("expected")
    objects = pd.DataFrame({"diaObjectId": expected.index})
    values = compute(ALL_PLUGINS, objects, golden("dia_sources")).diaObjectCat
    assert set(values.columns) == {*expected.columns, "diaObjectId"}
    assert_as_upstream(values, expected)
    assert values["pixelId"].dtype == np.int64
    np.testing.assert_array_equal(values["pixelId"], expected["pixelId"].astype(np.int64))
    dec = np.radians(expected["dec"])
    east = ((values["ra"] - expected["ra"] + 180.0) % 360.0 - 180.0) * np.cos(dec) * 3600.0
    north = (values["dec"] - expected["dec"]) * 3600.0
    away_from_poles = expected["dec"].abs() < 89.0
    assert np.hypot(east, north).max() < 1e-4
    assert np.hypot(east, north)[away_from_poles].max() < 1e-8


def test_columns_of_the_apdb_keep_their_types() -> None:
    expected = expected_of("expected_sdm_float32")
    objects = expected.mul(0).fillna(0).astype(expected.dtypes).reset_index()
    sources = golden("dia_sources")
    fluxes = [name for name in sources.columns if "Flux" in name]
    sources[fluxes] = sources[fluxes].astype(np.float32)
    values = compute(PRODUCTION_PLUGINS, objects, sources).diaObjectCat
    assert (values[expected.columns].dtypes == expected.dtypes).all()
    unstable = golden("meta").set_index("diaObjectId")["category"].isin(["same_time", "pairwise_same_time"])
    for name in expected.columns.difference(["ra", "dec"]):
        rows = ~unstable.loc[expected.index] if name.endswith("MaxSlope") else slice(None)
        np.testing.assert_allclose(values[name][rows], expected[name][rows], rtol=1e-6, err_msg=name)


def test_periods_are_upstreams() -> None:
    sources = golden("dia_sources").dropna(subset=["psfFluxErr"])
    for plugin, table in zip(OPTIONAL_PLUGINS, ("expected_lombscargle", "expected_lombscargle_multi"), strict=True):
        # A few will do: every period is compared where it is computed.
        expected = expected_of(table).iloc[::3]
        values = compute((plugin,), pd.DataFrame({"diaObjectId": expected.index}), sources).diaObjectCat
        assert set(values.columns) == {*expected.columns, "diaObjectId"}
        assert expected.notna().any().any()
        assert_as_upstream(values, expected)


@pytest.mark.parametrize("name", [*ALL_PLUGINS, *OPTIONAL_PLUGINS])
def test_upstreams_classes_carry_upstreams_names(name: str) -> None:
    plugin = DiaObjectCalculationPlugin.registry[name](None, name, None)
    assert type(plugin).__module__ == "stream_assoc.tasks.plugins"
    assert getattr(tasks_plugins, type(plugin).__name__) is type(plugin)
    assert plugin.outputCols
    assert type(plugin).__doc__
    renamed = type(plugin).__name__.replace("PsFlux", "PsfFlux")
    assert getattr(tasks_plugins, renamed) is type(plugin)


def small_sources() -> pd.DataFrame:
    n = 8
    return pd.DataFrame(
        {
            "diaObjectId": np.repeat([BIG, BIG + 1], n // 2),
            "diaSourceId": BIG + 100 + np.arange(n),
            "band": ["g", "g", "g", "r"] * 2,
            "midpointMjdTai": 60000.0 + np.arange(n) ** 2,
            "ra": 10.0 + 1e-5 * np.arange(n),
            "dec": np.linspace(-1e-4, 1e-4, n),
            "psfFlux": [1.0, 2.0, 4.0, 8.0, 3.0, 5.0, 9.0, 7.0],
            "psfFluxErr": np.linspace(1.0, 2.0, n),
            "scienceFlux": np.linspace(100.0, 200.0, n),
            "scienceFluxErr": np.linspace(2.0, 3.0, n),
            "flags": [0, 0, 0, 0, 0, 2, 0, 0],
        }
    )


def small_objects(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"diaObjectId": [BIG + 1, BIG + 2, BIG], **columns})


def test_only_the_objects_asked_for_change() -> None:
    objects = small_objects(
        nDiaSources=np.array([5, 6, 7], np.int32),
        ssObjectId=pd.array([None, BIG + 8, None], dtype="Int64"),
        g_psfFluxMean=np.array([1.0, 2.0, np.nan], np.float32),
    )
    sources = small_sources()
    before = objects.copy(), sources.copy()
    task = DiaObjectCalculationTask(
        DiaObjectCalculationConfig(("ap_meanPosition", "ap_nDiaSources", "ap_HTMIndex", "ap_meanFlux"))
    )
    result = task.run(objects, sources, [BIG], ["g"])
    pd.testing.assert_frame_equal(objects, before[0])
    pd.testing.assert_frame_equal(sources, before[1])

    assert result.updatedDiaObjects.index.tolist() == [BIG]
    every = result.diaObjectCat
    assert every.index.name == "diaObjectId"
    assert every["diaObjectId"].tolist() == every.index.tolist() == [BIG + 1, BIG + 2, BIG]
    assert every["nDiaSources"].tolist() == [5, 6, 4]
    assert every["nDiaSources"].dtype == np.int32
    assert every["ssObjectId"].tolist() == [pd.NA, BIG + 8, pd.NA]
    assert every["g_psfFluxMean"].dtype == np.float32
    assert every["g_psfFluxMean"].tolist()[:2] == [1.0, 2.0]
    assert np.isnan(every["ra"].to_numpy()[:2]).all()
    assert every["g_psfFluxNdata"].tolist() == [0, 0, 3]
    assert every["pixelId"].dtype == np.int64
    assert every["pixelId"].tolist()[:2] == [0, 0]
    assert "r_psfFluxMean" not in every.columns
    pd.testing.assert_frame_equal(every.loc[[BIG]], result.updatedDiaObjects, check_dtype=True)


def test_indexed_catalogues_give_the_same() -> None:
    plain = compute(ALL_PLUGINS, small_objects().drop(index=1), small_sources()).diaObjectCat
    task = DiaObjectCalculationTask(DiaObjectCalculationConfig(ALL_PLUGINS))
    sources = small_sources().set_index(["diaObjectId", "band", "diaSourceId"])
    indexed = task.run(small_objects().drop(index=1).set_index("diaObjectId"), sources, [BIG + 1, BIG], list(BANDS))
    pd.testing.assert_frame_equal(indexed.diaObjectCat[plain.columns], plain)


def test_no_source_no_object_no_band() -> None:
    task = DiaObjectCalculationTask(DiaObjectCalculationConfig(ALL_PLUGINS))
    nothing = task.run(small_objects(), small_sources().iloc[:0], small_objects()["diaObjectId"], ["u"]).diaObjectCat
    assert nothing["nDiaSources"].tolist() == nothing["pixelId"].tolist() == [0, 0, 0]
    assert nothing[["ra", "dec", "u_psfFluxMean", "u_psfFluxSkew", "u_scienceFluxMeanErr"]].isna().all(axis=None)
    none = task.run(small_objects(), small_sources(), np.empty(0, np.int64), [])
    assert none.updatedDiaObjects.empty
    assert len(none.diaObjectCat) == 3


@pytest.mark.parametrize(
    "broken",
    [
        {"psfFlux": np.nan},
        {"psfFlux": np.inf},
        {"psfFluxErr": 0.0},
        {"psfFluxErr": np.nan},
        {"scienceFluxErr": 0.0},
        {"ra": np.nan},
        {"dec": 95.0},
        {"midpointMjdTai": np.inf},
    ],
    ids=lambda broken: "-".join(f"{name}_{value}" for name, value in broken.items()),
)
def test_a_broken_source_changes_no_other_object(broken: dict[str, float]) -> None:
    objects = small_objects().drop(index=1)
    plugins = (*ALL_PLUGINS, *OPTIONAL_PLUGINS)
    good = compute(plugins, objects, small_sources()).diaObjectCat
    sources = small_sources()
    sources.loc[1, list(broken)] = list(broken.values())
    bad = compute(plugins, objects, sources).diaObjectCat
    pd.testing.assert_frame_equal(bad.loc[[BIG + 1]], good.loc[[BIG + 1]], check_exact=True)
    assert np.isfinite(bad.loc[BIG, ["ra", "dec", "g_psfFluxMean", "g_psfFluxLinearSlope"]].astype(float)).all()


@pytest.fixture
def _fresh_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setattr(DiaObjectCalculationPlugin, "registry", dict(DiaObjectCalculationPlugin.registry))


@pytest.mark.usefixtures("_fresh_registries")
def test_a_plugin_written_for_upstream_runs() -> None:
    @register("mine_range")
    class Range(DiaObjectCalculationPlugin):
        ConfigClass = DiaObjectCalculationPluginConfig
        inputCols = ["psfFluxMin", "psfFluxMax"]  # noqa: RUF012
        outputCols = ["psfFluxRange"]  # noqa: RUF012
        plugType = "multi"
        needsFilter = True

        @classmethod
        def getExecutionOrder(cls) -> float:
            return cls.FLUX_MOMENTS_CALCULATED

        # A plugin names those of the keywords that it wants, as upstream's do.
        def calculate(  # type: ignore[override]
            self, diaObjects: pd.DataFrame, diaSources: Any, filterDiaSources: Any, band: str, **kwargs: Any
        ) -> None:
            fluxes = filterDiaSources.psfFlux
            diaObjects[f"{band}_psfFluxRange"] = fluxes.max() - fluxes.min()
            made_before = diaObjects[f"{band}_psfFluxMax"] - diaObjects[f"{band}_psfFluxMin"]
            pd.testing.assert_series_equal(diaObjects[f"{band}_psfFluxRange"], made_before, check_names=False)

    @register("mine_last")
    class Last(DiaObjectCalculationPlugin):
        outputCols = ["lastTime"]  # noqa: RUF012
        plugType = "single"
        needsFilter = False

        # As above: it is called with keywords only.
        def calculate(  # type: ignore[override]
            self, diaObjects: pd.DataFrame, diaObjectId: int, diaSources: pd.DataFrame, **kwargs: Any
        ) -> None:
            diaObjects.loc[diaObjectId, "lastTime"] = diaSources["midpointMjdTai"].max()

    values = compute(("mine_range", "mine_last", "ap_minMaxFlux"), small_objects(), small_sources()).diaObjectCat
    assert values.loc[[BIG, BIG + 1], "g_psfFluxRange"].tolist() == [3.0, 6.0]
    assert values.loc[[BIG, BIG + 1], "lastTime"].tolist() == [60009.0, 60049.0]
    with pytest.raises(TaskConfigError, match="mine_range needs psfFluxMin, psfFluxMax"):
        DiaObjectCalculationTask(DiaObjectCalculationConfig(("mine_range",)))


@pytest.mark.usefixtures("_fresh_registries")
def test_a_statistic_of_the_user_runs_registered_or_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.register(SigmaFlux("mine", "scienceFlux"))
    entries = EntryPoints([EntryPoint("announced", f"{__name__}:announced", registry.ENTRY_POINT_GROUP)])
    monkeypatch.setattr(registry, "entry_points", lambda group: entries.select(group=group))
    monkeypatch.setitem(
        __import__("sys").modules, __name__, type("module", (), {"announced": SigmaFlux("announced", "psfFlux")})
    )
    values = compute(("mine", "announced"), small_objects(), small_sources()).diaObjectCat
    built_in = compute(("ap_sigmaTotFlux", "ap_sigmaFlux"), small_objects(), small_sources()).diaObjectCat
    pd.testing.assert_frame_equal(values, built_in)


@pytest.mark.usefixtures("_fresh_registries")
def test_names_are_given_once() -> None:
    with pytest.raises(TaskConfigError, match="'ap_meanFlux' is taken; register Mine"):

        @register("ap_meanFlux")
        class Mine(DiaObjectCalculationPlugin):
            pass

    with pytest.raises(TaskConfigError, match="int is no DiaObjectCalculationPlugin"):
        register("other")(int)  # type: ignore[type-var]


def test_defaults_are_upstreams() -> None:
    task = DiaObjectCalculationTask()
    assert [plugin.name for plugin in task.plugins] == ["ap_meanPosition", "ap_meanFlux"]
    assert task.outputCols == ["ra", "dec", "psfFluxMean", "psfFluxMeanErr", "psfFluxNdata"]


def test_a_plugin_has_settings() -> None:
    level_10 = {"ap_HTMIndex": tasks_plugins.HTMIndexDiaPositionConfig(htmLevel=10)}
    plugins = ("ap_HTMIndex", "ap_meanPosition")
    coarse = compute(plugins, small_objects().drop(index=1), small_sources(), plugin_configs=level_10).diaObjectCat
    fine = compute(plugins, small_objects().drop(index=1), small_sources()).diaObjectCat
    assert (coarse["pixelId"] == fine["pixelId"].to_numpy() >> 20).all()
    with pytest.raises(TaskConfigError, match="ap_HTMIndex needs a HTMIndexDiaPositionConfig"):
        compute(plugins, small_objects(), small_sources(), plugin_configs={"ap_HTMIndex": 10})


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        (("ap_meanFluxx",), "no 'ap_meanFluxx'; did you mean 'ap_meanFlux'"),
        (("ap_HTMIndex",), "ap_HTMIndex needs ra, dec"),
    ],
)
def test_wrong_settings_are_refused(plugins: tuple[str, ...], message: str) -> None:
    with pytest.raises(TaskConfigError, match=message):
        DiaObjectCalculationTask(DiaObjectCalculationConfig(plugins))


@pytest.mark.usefixtures("_fresh_registries")
def test_two_plugins_for_one_column_are_refused() -> None:
    registry.register(SigmaFlux("mine", "psfFlux"))
    with pytest.raises(TaskConfigError, match="mine makes psfFluxSigma, as another does"):
        DiaObjectCalculationTask(DiaObjectCalculationConfig(("ap_sigmaFlux", "mine")))


def test_wrong_catalogues_are_refused() -> None:
    task = DiaObjectCalculationTask()
    objects, sources = small_objects(), small_sources()
    with pytest.raises(CatalogError, match=f"{BIG + 9} are not in diaObjectCat"):
        task.run(objects, sources, [BIG, BIG + 9], ["g"])
    with pytest.raises(CatalogError, match="a diaObjectId twice"):
        task.run(pd.concat([objects, objects]), sources, [BIG], ["g"])
    with pytest.raises(CatalogError, match="diaObjectId is float64"):
        task.run(objects, sources.astype({"diaObjectId": float}), [BIG], ["g"])
    with pytest.raises(CatalogError, match="updatedDiaObjectIds is float64"):
        task.run(objects, sources, [float(BIG)], ["g"])
    with pytest.raises(MissingColumnError, match="no column 'band'"):
        task.run(objects, sources.drop(columns="band"), [BIG], ["g"])
    with pytest.raises(MissingColumnError, match="no column 'psfFluxErr'"):
        task.run(objects, sources.drop(columns="psfFluxErr"), [BIG], ["g"])
    with pytest.raises(CatalogError, match="band holds 'w'"):
        compute(("ap_lombScarglePeriodogramMulti",), objects, sources.assign(band="w"))


def test_any_filter_name_will_do_in_one_band() -> None:
    task = DiaObjectCalculationTask(DiaObjectCalculationConfig(("ap_meanPosition", "ap_minMaxFlux")))
    result = task.run(small_objects(), small_sources().assign(band="HSC-G"), [BIG], ["HSC-G"])
    assert result.updatedDiaObjects["HSC-G_psfFluxMax"].tolist() == [8.0]


def as_bytes(bands: list[str]) -> object:
    table = Table({"band": np.array(bands, dtype="S3")})
    return table.to_pandas()["band"].to_numpy()


@pytest.mark.parametrize(
    "bands",
    [as_bytes(["g", "g", "g", "r"] * 2), np.array([b"g  ", "g", "g ", b"r"] * 2, dtype=object)],
    ids=["fits", "mixed"],
)
@pytest.mark.parametrize("filters", [list(BANDS), [band.encode() for band in BANDS]], ids=["text", "bytes"])
def test_bands_may_be_bytes(bands: Any, filters: list[str]) -> None:
    task = DiaObjectCalculationTask(DiaObjectCalculationConfig(ALL_PLUGINS))
    objects = small_objects().drop(index=1)
    plain = task.run(objects, small_sources(), objects["diaObjectId"], list(BANDS)).diaObjectCat
    assert plain["g_psfFluxNdata"].tolist() == [3, 3]
    ours = task.run(objects, small_sources().assign(band=bands), objects["diaObjectId"], filters).diaObjectCat
    pd.testing.assert_frame_equal(ours, plain)


@pytest.mark.parametrize("band", ["G", "w", "", None, np.nan, b"\xff", 3])
def test_a_band_that_nobody_asks_for_is_refused(band: object) -> None:
    bands = np.array(["g", band] * 4, dtype=object)
    with pytest.raises(CatalogError, match=r"band holds .* in 4 rows, which is none of u, g"):
        compute(("ap_meanFlux",), small_objects().drop(index=1), small_sources().assign(band=bands))


@pytest.mark.parametrize("name", ["G", "w", ""])
def test_a_filter_name_that_no_source_has_is_refused(name: str) -> None:
    task = DiaObjectCalculationTask()
    with pytest.raises(TaskConfigError, match=f"filterNames holds '{name}'"):
        task.run(small_objects(), small_sources(), [BIG], ["g", name])


@pytest.mark.parametrize(
    "there",
    [
        np.array([1, 2, 3], np.int64),
        np.array([1, 2, 3], np.int8),
        np.array([True, False, True]),
        pd.array([1, None, 3], dtype="Int32"),
        pd.array([True, None, False], dtype="boolean"),
        np.array([None, None, None], dtype=object),
    ],
)
def test_a_statistic_keeps_its_fraction_whatever_was_there(there: object) -> None:
    sources = small_sources().assign(psfFlux=[1.0, 1.5, 2.0, 9.0, 2.0, 3.0, 4.0, 9.0], psfFluxErr=1.0)
    objects = small_objects(g_psfFluxMean=there)
    result = DiaObjectCalculationTask().run(objects, sources, [BIG], ["g"]).diaObjectCat
    assert result.g_psfFluxMean.dtype == np.float64
    assert result.g_psfFluxMean[BIG] == 1.5


def test_a_count_keeps_the_type_that_holds_it() -> None:
    task = DiaObjectCalculationTask(DiaObjectCalculationConfig(("ap_nDiaSources",)))
    for dtype, expected in ((np.int8, np.int8), (np.float32, np.float32), (np.bool_, np.int64)):
        objects = small_objects(nDiaSources=np.array([1, 0, 1], dtype))
        counts = task.run(objects, small_sources(), [BIG], ["g"]).diaObjectCat.nDiaSources
        assert counts.dtype == expected
        assert counts[BIG] == 4
    many = pd.concat([small_sources()] * 40).assign(diaSourceId=range(320))
    counted = task.run(small_objects(nDiaSources=np.array([1, 0, 1], np.int8)), many, [BIG], ["g"]).diaObjectCat
    assert counted.nDiaSources[BIG] == 160
