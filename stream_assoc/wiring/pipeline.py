"""The configured algorithms, and the services that the pipeline processes batches with."""

from typing import TYPE_CHECKING

from stream_assoc.core.association.associator import AssociationConfig, Associator
from stream_assoc.core.association.new_objects import NewObjectConfig
from stream_assoc.core.association.solar_system import SolarSystemAssociator
from stream_assoc.core.exceptions import PluginError
from stream_assoc.core.model.forced import GoodSources
from stream_assoc.core.model.states import StateLayout
from stream_assoc.core.statistics.calculator import StatisticsCalculator
from stream_assoc.core.statistics.registry import FORCED_PLUGIN, PRODUCTION_PLUGINS
from stream_assoc.messaging.avro.output_encoder import AvroOutputEncoder, OutputSchemaIds, OutputTopics
from stream_assoc.messaging.avro.registry import registry_of
from stream_assoc.messaging.avro.schemas import FORCED_SOURCE, METRICS, OBJECT, load_schema
from stream_assoc.pipeline.checkpoints import CheckpointPolicy
from stream_assoc.pipeline.clock import Clock, PinnedClock, SystemClock
from stream_assoc.pipeline.matching import AssociationAlgorithms
from stream_assoc.pipeline.ports.apdb import Apdb
from stream_assoc.pipeline.ports.cache import ObjectCache
from stream_assoc.pipeline.ports.photometry import ForcedPhotometer, SelectionConfig
from stream_assoc.pipeline.region import CellLimits, SkyPartition
from stream_assoc.pipeline.services import Services
from stream_assoc.settings import ConfigurationError, Settings
from stream_assoc.settings.images import ForcedPhotometrySettings, ImageSettings
from stream_assoc.stores.cache.packing.checkpoints import PackedCheckpoints

if TYPE_CHECKING:
    from stream_assoc.photometry.image_store import ImageStore


def calculator_of(settings: Settings) -> StatisticsCalculator:
    """Return the calculator of the configured plugins; with images, forced sources are averaged too.

    Raises
    ------
    ConfigurationError
        If a plugin is unknown, cannot be used, or makes the same column as another.
    """
    configured = settings.statistics.plugins
    plugins = PRODUCTION_PLUGINS if configured is None else configured
    try:
        return StatisticsCalculator((*plugins, FORCED_PLUGIN) if settings.images.roots else plugins)
    except PluginError as error:
        raise ConfigurationError(f"statistics.plugins: {error}") from error


def image_store_of(images: ImageSettings) -> "ImageStore":
    """Return what reads images below the configured roots.

    Raises
    ------
    ImageRootError
        If a root cannot hold images, or the package that reads it is not installed.
    """
    from stream_assoc.photometry.image_store import ImageLimits, ImageStore

    return ImageStore(
        images.roots,
        ImageLimits(images.max_bytes, images.timeout_seconds, images.attempts),
        s3_endpoint_url=images.s3_endpoint_url,
        ssl_ca_file=images.ssl_ca_file,
    )


def photometer_of(images: ImageSettings, forced: ForcedPhotometrySettings) -> ForcedPhotometer | None:
    """Return the photometer for images; `None` where no image may be read.

    Raises
    ------
    ImageRootError
        If a root cannot hold images, or the package that reads it is not installed.
    """
    if not images.roots:
        return None
    # astropy takes half a second, and most daemons read no image.
    from stream_assoc.photometry.measurement import Weighting
    from stream_assoc.photometry.photometer import ImagePhotometer, MeasurementConfig

    good = GoodSources(forced.min_reliability, forced.max_trail_arcsec)
    return ImagePhotometer(
        image_store_of(images),
        SelectionConfig(forced.history_threshold, good),
        MeasurementConfig(Weighting(forced.weighting), forced.bad_planes),
    )


def layout_of(settings: Settings) -> StateLayout:
    """Return how the cache lays out the states of the configured statistics.

    The flag columns are part of its name: a state folded with other columns
    has another flag.
    """
    calculator = calculator_of(settings)
    name = "+".join([calculator.layout, *sorted(settings.statistics.flag_columns)])
    return StateLayout(name, calculator.n_object_fields, calculator.initial_band_fields)


def checkpoints_of(settings: Settings) -> CheckpointPolicy:
    """Return how states are kept in the APDB."""
    return CheckpointPolicy(PackedCheckpoints(layout_of(settings)), settings.statistics.checkpoint_every)


def partition_of(settings: Settings) -> SkyPartition:
    """Return the configured division of the sky."""
    return SkyPartition(settings.sky.tile_level, settings.sky.cell_level, settings.sky.angle_margin_arcsec)


def association_algorithms_of(settings: Settings) -> AssociationAlgorithms:
    """Return the configured association algorithms."""
    association = settings.association
    return AssociationAlgorithms(
        solar_system=SolarSystemAssociator(association.solar_system_radius_arcsec, association.max_candidate_pairs),
        associator=Associator(
            AssociationConfig(
                max_distance_arcsec=association.max_distance_arcsec,
                sigma_floor_arcsec=association.sigma_floor_arcsec,
                fallback_sigma_arcsec=association.fallback_sigma_arcsec,
                max_candidate_pairs=association.max_candidate_pairs,
            )
        ),
        new_objects=NewObjectConfig(
            bad_flags=settings.new_objects.bad_flags,
            min_reliability=settings.new_objects.min_reliability,
            min_snr=settings.new_objects.min_snr,
            max_new_dia_objects=settings.new_objects.max_new_dia_objects,
        ),
        keep_solar_system_ids=association.keep_solar_system_ids,
    )


def services_of(settings: Settings, apdb: Apdb, cache: ObjectCache) -> Services:
    """Return the services that batches are processed with, on these stores."""
    calculator = calculator_of(settings)
    pinned = settings.daemon.pin_clock_mjd
    clock: Clock = SystemClock() if pinned is None else PinnedClock(pinned)
    return Services(
        apdb=apdb,
        cache=cache,
        layout=layout_of(settings),
        algorithms=association_algorithms_of(settings),
        calculator=calculator,
        encoder=AvroOutputEncoder(
            OutputTopics(
                settings.kafka.objects_topic, settings.kafka.metrics_topic, settings.kafka.forced_sources_topic
            ),
            output_schema_ids_of(settings),
        ),
        partition=partition_of(settings),
        clock=clock,
        flag_columns=settings.statistics.flag_columns,
        photometer=photometer_of(settings.images, settings.forced_photometry),
        cell_limits=CellLimits(settings.batch.max_cells, settings.daemon.micro_batch_cells),
        checkpoints=checkpoints_of(settings),
    )


def output_schema_ids_of(settings: Settings) -> OutputSchemaIds:
    """Return the ids outputs are written with; with a Schema Registry, register them there first."""
    registry = registry_of(settings.kafka)
    if registry is None:
        return OutputSchemaIds()
    return OutputSchemaIds(
        objects=registry.register(f"{settings.kafka.objects_topic}-value", load_schema(OBJECT)),
        metrics=registry.register(f"{settings.kafka.metrics_topic}-value", load_schema(METRICS)),
        forced_sources=registry.register(f"{settings.kafka.forced_sources_topic}-value", load_schema(FORCED_SOURCE)),
    )
