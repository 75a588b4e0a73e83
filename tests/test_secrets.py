"""Credentials are never repeated; ordinary text is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runvet.secrets import MASK, mask

# Made up here; joined at run time so that no scanner takes them for real ones.
SECRETS = {
    "key": [
        "sk-" + "proj-" + "a1B2" * 8,
        "hf_" + "AbCd1234" * 4,
        "ghp_" + "a1" * 18,
        "AKIA" + "ABCDEFGH12345678",
        "AIza" + "x1" * 17 + "y",
    ],
    "named value": ["9f8e7d6c5b4a", "Tr0ub4dor&3"],
}


@pytest.mark.parametrize("secret", SECRETS["key"])
def test_published_prefixes_are_found_anywhere(secret: str) -> None:
    text, kind = mask(f"export TOKEN={secret} && python train.py")
    assert secret not in text
    assert MASK in text
    assert kind == "key"


@pytest.mark.parametrize("secret", SECRETS["named value"])
@pytest.mark.parametrize(
    "form",
    [
        "api_key={}",
        "WANDB_API_KEY: {}",
        "password = '{}'",
        '{{"secret_key": "{}"}}',
        "--hf_token={}",
        "Authorization: Bearer {}",
    ],
)
def test_named_values_are_found(secret: str, form: str) -> None:
    text, kind = mask(form.format(secret))
    assert secret not in text
    assert kind


def test_addresses_with_a_password() -> None:
    text, kind = mask("postgres://alice:s3cretpw@db.example/mlflow and https://example.org/a:b")
    assert "s3cretpw" not in text
    assert "alice" in text
    assert "https://example.org/a:b" in text
    assert kind == "address with a password"


@pytest.mark.parametrize(
    "text",
    [
        "step 10 loss 2.31 tokens: 123456 tok/s",
        "pad_token: <pad>, mask_token=[MASK]",
        "keyboard interrupt; key points 17; monkey=5",
        "api_key: None",
        "password=${DB_PASSWORD}",
        "secret_key: <your key>",
        "num_keys=64 token_count=1024 access_key_count: 3",
        "https://example.org:8080/path",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert mask(text) == (text, "")


def test_values_of_settings_by_their_key() -> None:
    assert mask("0123456789abcdef", key="wandb.api_key") == (MASK, "named value")
    assert mask("<|endoftext|>", key="tokenizer.eos_token") == ("<|endoftext|>", "")
    assert mask("[MASK]", key="tokenizer.mask_token") == ("[MASK]", "")
    assert mask("none", key="password") == ("none", "")


@given(st.text(max_size=300))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once, _ = mask(text)
    assert mask(once)[0] == once
