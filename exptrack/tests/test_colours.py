"""The colours of the look: readable in both themes, and told apart with any colour vision."""

import re
from itertools import combinations

import numpy as np
import pytest
from django.conf import settings

TOKENS = (settings.BASE_DIR / "static" / "css" / "tokens.css").read_text()
PAIR = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
COLOURS = {name: {"light": light, "dark": dark} for name, light, dark in PAIR.findall(TOKENS)}
GROUNDS = ["canvas", "surface", "sunken", "raised", "hover"]
INKS = ["ink", "muted", "faint", "accent", "accent-strong"]
STATUSES = ["queued", "running", "finished", "failed", "killed", "lost"]
RUNS = [f"run-{number}" for number in range(1, 13)]

both_themes = pytest.mark.parametrize("theme", ["light", "dark"])

# Linear RGB as it is seen, and without the cones for long, middle or short waves
# (Machado, Oliveira and Fernandes 2009, severity 1).
VISIONS = {
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(name: str, theme: str) -> np.ndarray:
    """A colour as linear red, green and blue, 0 to 1."""
    digits = COLOURS[name][theme][1:]
    channels = np.array([int(digits[at : at + 2], 16) for at in (0, 2, 4)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str, theme: str) -> float:
    """The contrast of two colours as WCAG 2 reckons it, 1 to 21."""
    light = sorted(linear(name, theme) @ [0.2126, 0.7152, 0.0722] for name in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


def distance(one: str, other: str, theme: str, vision: str) -> float:
    """How far apart two colours are in Oklab for that colour vision."""
    seen = [np.clip(VISIONS[vision] @ linear(name, theme), 0, 1) for name in (one, other)]
    places = [TO_OKLAB @ np.cbrt(TO_CONES @ colour) for colour in seen]
    return float(np.linalg.norm(places[0] - places[1]))


@both_themes
def test_every_ink_reads_on_every_ground(theme):
    for ink in INKS:
        for ground in GROUNDS:
            assert contrast(ink, ground, theme) >= 4.5, (ink, ground)


@both_themes
def test_every_status_reads_on_its_own_ground_and_on_every_other(theme):
    for status in STATUSES:
        for ground in [f"{status}-soft", *GROUNDS]:
            assert contrast(status, ground, theme) >= 4.5, (status, ground)
        assert contrast("ink", f"{status}-soft", theme) >= 4.5


@both_themes
def test_what_stands_on_the_accent_reads(theme):
    assert contrast("on-accent", "accent", theme) >= 4.5
    assert contrast("on-accent", "accent-strong", theme) >= 4.5
    assert contrast("on-danger", "failed", theme) >= 4.5
    for ink in ("ink", "muted", "accent-strong"):
        assert contrast(ink, "accent-soft", theme) >= 4.5


@both_themes
def test_the_edge_of_what_can_be_operated_is_seen(theme):
    for ground in GROUNDS:
        assert contrast("edge", ground, theme) >= 3


@both_themes
def test_every_run_is_seen_on_the_ground_of_charts(theme):
    for run in RUNS:
        assert contrast(run, "surface", theme) >= 3, run


@both_themes
@pytest.mark.parametrize("vision", VISIONS)
def test_runs_are_told_apart_with_any_colour_vision(theme, vision):
    for one, other in combinations(RUNS, 2):
        assert distance(one, other, theme, vision) >= 0.06, (one, other)
    for one, other in combinations(RUNS[:4], 2):
        assert distance(one, other, theme, vision) >= 0.11, (one, other)


def test_colours_stand_in_one_file_only():
    for path in (settings.BASE_DIR / "static" / "css").glob("*.css"):
        if path.name != "tokens.css":
            literal = r"#[0-9a-fA-F]{3,8}\b|\b(rgb|hsl|oklch)a?\("
            assert not re.search(literal, path.read_text()), path


def test_the_layers_have_no_exceptions():
    for path in (settings.BASE_DIR / "static" / "css").glob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        assert "!important" not in text, path
        assert not re.search(r"(^|[\s,>+~(])#[a-zA-Z][\w-]*[^;{}]*\{", text), path
        assert f"@layer {path.stem} {{" in text
