"""Secrets stay on this machine: what looks like one is masked before anything is sent. Pure.

Numbers are never masked, and words that machine learning uses otherwise are known: `max_tokens`,
`pad_token`, `num_key_value_heads` and `tokenizer` are no secrets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MASK = "[masked]"

WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
ALWAYS = {
    "apikey", "authorization", "credential", "credentials", "dsn", "passphrase", "passwd",
    "password", "pwd", "secret", "secrets", "secretkey",
}  # fmt: skip
# A `token` or `key` with one of these before it is one of a text model, not of an account.
OF_A_MODEL = {
    "bos", "cls", "decoder", "end", "eos", "eot", "image", "mask", "new", "pad", "per", "prefix",
    "sep", "special", "start", "stop", "unk", "vocab",
}  # fmt: skip
OF_AN_ACCOUNT = {
    "access", "account", "anthropic", "api", "auth", "aws", "azure", "client", "comet", "deploy",
    "encryption", "google", "hf", "license", "openai", "private", "secret", "service", "session",
    "signing", "ssh", "storage", "subscription", "wandb",
}  # fmt: skip

KNOWN_SHAPES = re.compile(
    r"\b(?:ext_\w{20,}|hf_\w{20,}|sk-[\w-]{20,}|gh[opsur]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|xox[abprs]-[\w-]{10,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+)"
)
USER_INFO = re.compile(r"(\b[a-zA-Z][\w+.-]*://)[^\s/@]+@")
SETTING = re.compile(r"([\w.-]+)([\"']?\s*[:=]\s*)(\"[^\"]*\"?|'[^']*'?|[^\s,;)\]}]+)")
NUMBER = re.compile(r"[\d_.eE+-]+|None|True|False|null|true|false")
ASSIGNMENT = re.compile(r"(--?[\w.-]+|[\w.-]+)=(.*)", re.DOTALL)


def is_secret_name(name: str) -> bool:
    """Whether a value under this name is likely a password, key or token."""
    words = [word.lower() for word in WORDS.findall(name.rpartition("/")[2])]
    if ALWAYS.intersection(words):
        return True
    last, before = (words or [""])[-1], (words[:-1] or [""])[-1]
    if last == "token":
        return before not in OF_A_MODEL
    return last == "key" and before in OF_AN_ACCOUNT


def masked_text(text: str) -> str:
    """`text` with everything masked that has the shape of a known secret."""
    return USER_INFO.sub(rf"\1{MASK}@", KNOWN_SHAPES.sub(MASK, text))


def masked_value(name: str, value: object) -> object:
    """A param's value, masked when its name or its own shape says that it is a secret."""
    if isinstance(value, str):
        return MASK if value and is_secret_name(name) else masked_text(value)
    if isinstance(value, list):
        return [masked_value(name, item) for item in value]
    return value


def masked_command(arguments: Sequence[str]) -> list[str]:
    """A command line with the values of secret options masked: `--token x`, `--token=x` and
    `password=x`."""
    masked, secret_follows = [], False
    for argument in arguments:
        assignment = ASSIGNMENT.fullmatch(argument)
        if secret_follows and not argument.startswith("--"):
            masked.append(MASK)
        elif assignment and is_secret_name(assignment[1]):
            masked.append(f"{assignment[1]}={MASK}")
        else:
            masked.append(masked_text(argument))
        secret_follows = argument.startswith("-") and not assignment and is_secret_name(argument)
    return masked


def masked_patch(text: str) -> str:
    """A patch with known secrets masked, the values of what is named like one (`API_KEY = "x"`,
    `password: x`), and everything between the lines that begin and end a private key."""
    masked, in_key = [], False
    for line in text.split("\n"):
        in_key = in_key or "PRIVATE KEY-----" in line and "-----BEGIN" in line
        masked.append(line[:1] + MASK if in_key else SETTING.sub(masked_setting, masked_text(line)))
        in_key = in_key and "-----END" not in line
    return "\n".join(masked)


def masked_setting(found: re.Match) -> str:
    """One `name = value` of a line; only texts and bare words are secrets, numbers are not."""
    name, between, value = found.groups()
    is_secret = is_secret_name(name) and not NUMBER.fullmatch(value)
    return f"{name}{between}{MASK if is_secret else value}"
