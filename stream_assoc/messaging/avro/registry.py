"""A Confluent Schema Registry, where one is used instead of Rubin's schema ids.

Two calls of its REST interface are all that is needed, so they are made here
with the standard library: https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final

from stream_assoc.exceptions import reason_of
from stream_assoc.messaging.avro.wire import AvroSchema
from stream_assoc.messaging.exceptions import DecodeError, RegistryConfigurationError, RegistryUnavailableError
from stream_assoc.settings.kafka import KafkaSettings

TIMEOUT_SECONDS: Final = 10.0
_CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_MAX_ANSWER_BYTES: Final = 16 * 1024**2
_BUSY: Final = frozenset({408, 425, 429})


class SchemaRegistry:
    """Finds schemas by id, and registers schemas under a subject.

    What was found once is remembered: the schema of an id never changes.

    Parameters
    ----------
    url : `str`
        ``http(s)://[user:password@]host[:port][/path]``.
    timeout_seconds : `float`, optional
        Longest silence of the registry that is waited out.
    credentials : `tuple` [`str`, `str`], optional
        User and password, instead of those in the URL.
    ca_file : `pathlib.Path`, optional
        PEM file of the authorities that may sign the registry's certificate;
        the system's by default.

    Raises
    ------
    RegistryConfigurationError
        If the URL is of another kind, or the file holds no certificates.
    """

    def __init__(
        self,
        url: str,
        timeout_seconds: float = TIMEOUT_SECONDS,
        *,
        credentials: tuple[str, str] | None = None,
        ca_file: Path | None = None,
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise RegistryConfigurationError(
                "kafka.schema_registry_url must be http(s)://[user:password@]host[:port]"
            )
        address = parts.netloc.rpartition("@")[2]
        self._base = urllib.parse.urlunsplit((parts.scheme, address, parts.path.rstrip("/"), "", ""))
        self._headers = {"Accept": _CONTENT_TYPE, "Content-Type": _CONTENT_TYPE}
        if parts.username is not None:
            credentials = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
        self._authorization = None if credentials is None else _basic(*credentials)
        self._tls = _tls_context(ca_file) if parts.scheme == "https" else None
        self._timeout_seconds = timeout_seconds
        self._schemas: dict[int, AvroSchema] = {}

    def writer_schema(self, schema_id: int) -> AvroSchema:
        """Return the schema with this id.

        Raises
        ------
        DecodeError
            With the reason ``unknown_schema`` if the registry has none, and
            ``incompatible_schema`` if it is not one Avro record by itself.
        RegistryUnavailableError
            If the registry does not answer.
        RegistryConfigurationError
            If it refuses this client.
        """
        if schema_id not in self._schemas:
            self._schemas[schema_id] = self._find(schema_id)
        return self._schemas[schema_id]

    def register(self, subject: str, schema: AvroSchema) -> int:
        """Return the id of a schema, registering it if it is new.

        Parameters
        ----------
        subject : `str`
            By Confluent's convention the topic followed by ``-value``.
        schema : `dict`
            The schema.

        Raises
        ------
        RegistryUnavailableError
            If the registry does not answer.
        RegistryConfigurationError
            If it refuses this client, or the schema as incompatible with
            earlier ones of the subject.
        """
        path = f"/subjects/{urllib.parse.quote(subject, safe='')}/versions"
        try:
            answer = self._call(path, {"schema": json.dumps(schema)})
        except urllib.error.HTTPError as error:
            raise self._refusal(error, f"register the schema of {subject}") from error
        if not isinstance(answer.get("id"), int):
            raise RegistryUnavailableError(f"the Schema Registry {self._base} answers without the id of {subject}")
        return int(answer["id"])

    def _find(self, schema_id: int) -> AvroSchema:
        try:
            answer = self._call(f"/schemas/ids/{schema_id}")
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.NOT_FOUND:
                raise DecodeError(
                    f"schema id {schema_id} is not in the registry {self._base}; write with one that is",
                    "unknown_schema",
                ) from error
            raise self._refusal(error, f"look up schema id {schema_id}") from error
        schema = _parsed(answer.get("schema"))
        kind = answer.get("schemaType", "AVRO")
        if (
            kind != "AVRO"
            or answer.get("references")
            or not isinstance(schema, dict)
            or schema.get("type") != "record"
        ):
            raise DecodeError(
                f"schema id {schema_id} is {kind!s:.20} and not an Avro record without references",
                "incompatible_schema",
            )
        return schema

    def _call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the registry; an `urllib.error.HTTPError` tells that it answered with a refusal."""
        request = urllib.request.Request(  # noqa: S310
            self._base + path, data=None if body is None else json.dumps(body).encode(), headers=self._headers
        )
        if self._authorization is not None:
            # Other headers follow a redirect to wherever it leads; a password must not.
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with urllib.request.urlopen(  # noqa: S310
                request, timeout=self._timeout_seconds, context=self._tls
            ) as response:
                answer = json.loads(response.read(_MAX_ANSWER_BYTES))
        except urllib.error.HTTPError:
            raise
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            raise self._unavailable(error) from error
        if not isinstance(answer, dict):
            raise RegistryUnavailableError(f"the Schema Registry {self._base} answers with no JSON object")
        return answer

    def _unavailable(self, error: Exception) -> RegistryUnavailableError | RegistryConfigurationError:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            return RegistryConfigurationError(
                f"the certificate of the Schema Registry {self._base} is not trusted: {reason.verify_message}; "
                "set kafka.schema_registry_ca_file to the authority that signed it, "
                "and kafka.schema_registry_url to a name it was made for"
            )
        return RegistryUnavailableError(
            f"the Schema Registry {self._base} does not answer: {reason_of(error)}; check kafka.schema_registry_url"
        )

    def _refusal(
        self, error: urllib.error.HTTPError, what: str
    ) -> RegistryUnavailableError | RegistryConfigurationError:
        text = f"the Schema Registry {self._base} answered {error.code} {error.reason} to the attempt to {what}"
        if error.code in _BUSY or error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            return RegistryUnavailableError(text)
        return RegistryConfigurationError(f"{text}; check kafka.schema_registry_url, its user and its permissions")


def registry_of(kafka: KafkaSettings) -> SchemaRegistry | None:
    """Return the configured Schema Registry, `None` without one.

    Raises
    ------
    RegistryConfigurationError
        As `SchemaRegistry`.
    """
    if kafka.schema_registry_url is None:
        return None
    user, password = kafka.schema_registry_user, kafka.schema_registry_password
    return SchemaRegistry(
        kafka.schema_registry_url.get_secret_value(),
        credentials=None if user is None or password is None else (user, password.get_secret_value()),
        ca_file=kafka.schema_registry_ca_file,
    )


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise RegistryConfigurationError(
            f"kafka.schema_registry_ca_file {ca_file} holds no usable certificates: {reason_of(error)}"
        ) from error


def _parsed(schema: object) -> object:
    """Return the schema of an answer, `None` for what is no JSON."""
    if not isinstance(schema, str):
        return None
    try:
        return json.loads(schema)
    except (ValueError, RecursionError):
        return None
