"""No error shows a secret, whichever setting it was written into."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.apps.cli.app import settings_of
from stream_assoc.photometry.exceptions import ImageRefusedError, ImageRootError
from stream_assoc.photometry.image_roots import ImageRoots
from stream_assoc.settings import ConfigurationError, load_settings
from stream_assoc.settings.fields import fields
from stream_assoc.settings.secrets import redacted

SECRET = "hunter2"
SLIPS = (
    f"https://key:{SECRET}@host",
    f"http://{SECRET}@host:9000/path",
    f"https://host/path?X-Amz-Signature={SECRET}",
    f"https://host/path#{SECRET}",
    f"https:/key:{SECRET}@host",
    f"key:{SECRET}@host:9092",
    f"postgresql://rubin:{SECRET}/@?#@db/apdb",
    f"password={SECRET}",
    f"key:{SECRET}@host://",
)


def refusal(name: str, value: object) -> ConfigurationError | None:
    try:
        load_settings(overrides={name: value})
    except ConfigurationError as error:
        return error
    return None


@pytest.mark.parametrize("name", sorted(fields()))
def test_no_refused_value_shows_a_secret(name: str) -> None:
    for value in (value for slip in SLIPS for value in (slip, [slip], {slip: slip})):
        error = refusal(name, value)
        assert SECRET not in str(error)
        assert error is None or error.__context__ is None


@pytest.mark.parametrize("slip", SLIPS)
def test_no_assignment_shows_a_secret(slip: str) -> None:
    for assignment in (slip, f"kafka.sasl_password:{SECRET}", f"kafka.sasl_password {SECRET}", f"{slip}=1"):
        with pytest.raises(ConfigurationError) as caught:
            settings_of(None, [assignment])
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", [slip for slip in SLIPS if "://" in slip])
def test_an_endpoint_of_s3_holds_no_secret(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"images\.s3_endpoint_url") as caught:
        load_settings(overrides={"images.s3_endpoint_url": url.replace("/path#", "/path?#")})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("root", [slip for slip in SLIPS if "://" in slip])
def test_a_root_holds_no_secret(root: str) -> None:
    error = refusal("images.roots", [root])
    assert "images.roots" in str(error)
    assert SECRET not in str(error)
    assert refusal("images.roots", ["/data/a@b", "s3://bucket/prefix", "https://host/path"]) is None


@pytest.mark.parametrize("slip", SLIPS)
def test_no_refused_image_or_root_shows_a_secret(slip: str) -> None:
    with pytest.raises(ImageRefusedError) as refused:
        ImageRoots(["/images"]).resolve(slip)
    assert SECRET not in str(refused.value)
    with pytest.raises(ImageRootError) as no_root:
        ImageRoots([slip])
    assert SECRET not in str(no_root.value)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.sampled_from(["https", "s3", "redis", "postgresql"]),
)
def test_neither_user_nor_password_nor_query_survives(secret: str, scheme: str) -> None:
    hidden = f"QQ{secret}QQ"
    for url in (f"{scheme}://user:{hidden}@host/a", f"{scheme}://{hidden}@host/a", f"{scheme}://host/a?b={hidden}"):
        assert "QQ" not in redacted(url)


@pytest.mark.parametrize("text", ["sasl_plaintext", "dia-sources", "localhost:9092", "12", "night of 2026"])
def test_plain_values_are_shown(text: str) -> None:
    assert redacted(text) == text


def test_long_values_are_cut() -> None:
    assert len(redacted("x" * 10_000)) == 80
    assert len(redacted("https://" + "x" * 10_000)) == 80
