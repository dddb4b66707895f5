"""Takes a picture of every page, light, dark and on a phone, as a fresh server with the demo and a
few hundred made-up runs shows it.

    python docs/screenshots.py [--look FOLDER] [NAME ...]

Needs the test packages, Chromium and the browser libraries. Everything happens in a temporary
folder, on a free port; only docs/img/ is written, or with --look that folder, with whole pages to
look at closely. Names of pages take only those.
"""

from __future__ import annotations

import argparse
import io
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from exptrack.tests.waiting import kept_port  # noqa: E402

PICTURES = ROOT / "docs" / "img"
LARGEST_BYTES, LARGEST_TOTAL = 70_000, 2_000_000
USER = "ada"
RUNS = 400
STARTS_WITHIN_SECONDS = 120

# How a page is seen: size, and theme.
LOOKS = {
    "light": ({"width": 1280, "height": 720}, "light"),
    "dark": ({"width": 1280, "height": 720}, "dark"),
    "phone": ({"width": 390, "height": 844}, "light"),
}
# name: address. {digits} and {sweep} are experiments, {run} and {failed} runs, {runs} five of them.
SIGNED_OUT = {"sign-in": "/account/sign-in/"}
PAGES = {
    "experiments": "/",
    "experiment": "{digits}",
    "sweep": "{sweep}",
    "groups": "{sweep}?group=params.optimizer,params.lr",
    "charts": "{digits}?view=charts",
    "run": "{run}",
    "failed-run": "{failed}",
    "compare": "/compare/?{runs}",
    "account": "/account/",
    "settings": "{digits}settings/",
    "trash": "/trash/?kind=runs",
    "storage": "/storage/",
    "admin": "/admin/",
    "nothing-here": "/nothing/here/",
}
WHILE_DEVELOPING = {"styleguide": "/styleguide/"}


def main() -> None:
    """Serve the demo, look at its pages, keep the pictures."""
    asked = argparse.ArgumentParser(description="Take pictures of the pages.")
    asked.add_argument("--look", type=Path, metavar="FOLDER", help="whole pages, as PNG")
    asked.add_argument("names", nargs="*", metavar="NAME", help="only these pages")
    asked = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="exptrack-pictures-") as folder, chromium() as browser:
        take_all(Path(folder), browser, asked)
    if asked.look is None:
        weigh()


def take_all(folder: Path, browser: Browser, asked: argparse.Namespace) -> None:
    """Every page, from a server as people meet it; the style guide from one in development."""
    password = secrets.token_urlsafe(16)
    page = browser.new_page(reduced_motion="reduce")
    with server(folder, password) as url:
        take(page, url, SIGNED_OUT, asked)
        sign_in(page, url, password)
        sweep = make_sweep(folder)
        places = found_places(page, url) | {"sweep": sweep}
        leave_traces(page, url, sweep)
        pages = {name: address.format(**places) for name, address in PAGES.items()}
        take(page, url, pages, asked)
    # The session is still good: same data, same host.
    with server(folder, password, EXPTRACK_DEBUG="true") as url:
        take(page, url, WHILE_DEVELOPING, asked)


def settings_of(folder: Path) -> dict[str, str]:
    """An environment in which nothing of the caller's own data can be reached."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EXPTRACK_")}
    clean.pop("DATABASE_URL", None)
    return clean | {"EXPTRACK_DATA": str(folder / "data")}


@contextmanager
def server(folder: Path, password: str, **more: str) -> Iterator[str]:
    """The address of a server with a first admin and the demo, stopped afterwards."""
    port, kept = kept_port()
    settings = {
        "EXPTRACK_ADMIN_USER": USER,
        "EXPTRACK_ADMIN_PASSWORD": password,
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }
    environment = settings_of(folder) | settings | more
    command = [sys.executable, str(ROOT / "manage.py"), "serve"]
    with kept, (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url, process, folder / "log")
            yield url
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    """Return once the server answers; leave with its log when it does not."""
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health/ready/", timeout=5):  # noqa: S310  ours
                return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"The server does not start:\n{log.read_text()}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a head."""
    names = ("chromium", "chromium-browser", "chromium-headless-shell")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        sys.exit("No chromium on this machine.")
    flags = ["--disable-gpu", "--no-first-run"] + ["--no-sandbox"] * (os.geteuid() == 0)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


def sign_in(page: Page, url: str, password: str) -> None:
    page.goto(f"{url}/account/sign-in/")
    page.get_by_label("User name").fill(USER)
    page.get_by_label("Password").fill(password)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in").click()


def make_sweep(folder: Path) -> str:
    """The path of an experiment of a few hundred runs."""
    command = [sys.executable, str(ROOT / "manage.py"), "make_demo", "--runs", str(RUNS)]
    made = subprocess.run(
        command, cwd=ROOT, env=settings_of(folder), check=True, capture_output=True, text=True
    )
    return made.stdout.split()[-1]


def found_places(page: Page, url: str) -> dict[str, str]:
    """The addresses of the demo that are not known beforehand."""
    page.goto(f"{url}/?ordering=name")
    digits = page.locator("tbody th a").first.get_attribute("href")
    page.goto(f"{url}{digits}?status=failed")
    failed = page.locator("tbody th a").first.get_attribute("href")
    page.goto(f"{url}{digits}?status=finished")
    runs = [box.get_attribute("value") for box in page.locator("tbody .pick").all()[:5]]
    compared = "&".join(f"run={run}" for run in runs)
    return {"digits": digits, "failed": failed, "run": f"/runs/{runs[0]}/", "runs": compared}


def leave_traces(page: Page, url: str, sweep: str) -> None:
    """Something in the trash, and a token."""
    page.goto(f"{url}{sweep}?status=killed")
    for box in page.locator("tbody .pick").all()[:3]:
        box.check()
    page.get_by_role("button", name="Move to trash").click()
    page.get_by_text("moved to the trash").wait_for()
    page.goto(f"{url}/account/")
    page.get_by_label("Name", exact=True).fill("gpu-3")
    page.get_by_role("button", name="Create token").click()
    page.get_by_role("button", name="Copy token").wait_for()


def take(page: Page, url: str, pages: dict[str, str], asked: argparse.Namespace) -> None:
    """A picture of each page in each look."""
    for name, address in pages.items():
        if asked.names and name not in asked.names:
            continue
        for look, (size, scheme) in LOOKS.items():
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.goto(f"{url}{address}", wait_until="networkidle")
            keep(page, f"{name}-{look}", asked.look)


def keep(page: Page, name: str, look: Path | None) -> None:
    """What the page shows, into its file."""
    if look is None:
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        # A page has few colours: with a palette it takes a third, and its text stays sharp.
        few = picture.quantize(256, kmeans=1, dither=Image.Dither.NONE)
        few.save(PICTURES / f"{name}.png", optimize=True)
    else:
        look.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=look / f"{name}.png", full_page=True)


def weigh() -> None:
    """Leave with an error when a picture, or all of them, have become too big for a repository."""
    sizes = {path.name: path.stat().st_size for path in sorted(PICTURES.glob("*.png"))}
    for name, size in sizes.items():
        print(f"{name}: {size:,} bytes")
    if big := [name for name, size in sizes.items() if size > LARGEST_BYTES]:
        sys.exit(f"More than {LARGEST_BYTES:,} bytes: {', '.join(big)}")
    if (total := sum(sizes.values())) > LARGEST_TOTAL:
        sys.exit(f"{total:,} bytes in all; {LARGEST_TOTAL:,} is the most.")


if __name__ == "__main__":
    main()
