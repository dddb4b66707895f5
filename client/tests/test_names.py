"""What things may be called, and what is never sent. Pure."""

from __future__ import annotations

import json

import pytest
from exptrack_client.masking import MASK, is_secret_name, masked_command, masked_text, masked_value
from exptrack_client.names import (
    VALUE_BYTES,
    NameBook,
    flattened,
    is_allowed,
    mended,
    sendable_value,
    shortened,
)
from hypothesis import given
from hypothesis import strategies as st

from experiments.values import field_name, param_value

pytestmark = pytest.mark.only_on("sqlite")  # nothing here meets a database


@given(st.text())
def test_a_mended_name_is_one_the_server_takes_as_it_is(text):
    name = mended(text)
    assert field_name(name) == name
    assert is_allowed(name)


@given(st.text(alphabet=st.sampled_from("aé\u0301 /_.-:@%\n ٣"), max_size=300))
def test_a_name_is_allowed_only_if_the_server_takes_it_as_it_is(text):
    try:
        accepted = field_name(text) == text
    except ValueError:
        accepted = False
    assert is_allowed(text) == accepted


@given(st.lists(st.text(max_size=4)))
def test_two_names_never_become_one(names):
    book = NameBook()
    allowed = {name: book.allowed(name) for name in names}
    assert len(set(allowed.values())) == len(allowed)
    assert all(book.allowed(name) == allowed[name] for name in names)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), ANYTHING))
def test_any_param_becomes_one_the_server_takes(params):
    for name, value in flattened(params):
        sent = json.loads(json.dumps(shortened(sendable_value(value)), allow_nan=False))
        param_value(sent)
        assert mended(name)
        assert "\0" not in json.dumps(sent)


def test_a_value_too_long_is_cut_to_what_the_server_takes():
    for value in ("x" * 100_000, "ü" * 40_000, ["y" * 10] * 10_000):
        cut = shortened(value)
        assert VALUE_BYTES - 8 <= len(cut.encode()) <= VALUE_BYTES
        param_value(cut)


def test_a_mapping_that_holds_itself_ends():
    loop = {"a": 1}
    loop["self"] = loop
    assert len(list(flattened(loop))) < 100


@pytest.mark.parametrize(
    "name",
    "password db/password API_KEY apiKey openai_api_key OPENAI_KEY hf_token token auth-token "
    "aws_secret_access_key clientSecret credentials --wandb-key pwd".split(),
)
def test_a_name_of_a_secret_is_known(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    "max_tokens num_tokens tokenizer pad_token eos_token_id num_key_value_heads keypoints key "
    "image_key monkey token_dropout secretary author label_key special_token tokens/seen".split(),
)
def test_a_name_of_machine_learning_is_no_secret(name):
    assert not is_secret_name(name)


def test_only_text_is_masked():
    assert masked_value("token", 5) == 5
    assert masked_value("api_key", "abc") == MASK
    assert masked_value("api_key", ["abc", 1]) == [MASK, 1]
    assert masked_value("note", "hf_" + "a" * 30) == MASK


def test_secrets_are_masked_in_a_command_line():
    assert masked_command(
        ["python", "t.py", "--lr", "0.1", "--token", "abc", "--api-key=x=y", "password=z", "-v"]
    ) == ["python", "t.py", "--lr", "0.1", "--token", MASK, f"--api-key={MASK}",
          f"password={MASK}", "-v"]  # fmt: skip
    assert masked_command(["--token", "--verbose", "x"]) == ["--token", "--verbose", "x"]
    assert masked_text("postgres://me:pw@db/x") == f"postgres://{MASK}@db/x"
    assert masked_text("key ext_MHcfSnDsMwPxJ60niGRVCYtkL0p1o0hXz.") == f"key {MASK}."
