"""Takes the picture in the README: the demo's experiment, as a fresh server shows it.

    python docs/screenshots.py

Needs the test packages, Chromium and the browser libraries. Everything happens in a temporary
folder, on a free port; only docs/img/ is written.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "img" / "experiment.png"
LARGEST_BYTES = 200_000
SIZE = {"width": 1280, "height": 720}
USER = "ada"
STARTS_WITHIN_SECONDS = 120


def main() -> None:
    """Serve the demo, look at its experiment, keep the picture."""
    with tempfile.TemporaryDirectory(prefix="exptrack-picture-") as folder:
        password = secrets.token_urlsafe(16)
        with server(Path(folder), password) as url, page() as browser_page:
            sign_in(browser_page, url, password)
            take(browser_page)
    size = PICTURE.stat().st_size
    if size > LARGEST_BYTES:
        sys.exit(f"{PICTURE.name} has {size:,} bytes; {LARGEST_BYTES:,} is the most.")
    print(f"{PICTURE.relative_to(ROOT)}: {size:,} bytes")


@contextmanager
def server(folder: Path, password: str) -> Iterator[str]:
    """The address of a server with a first admin and the demo, stopped afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EXPTRACK_")}
    clean.pop("DATABASE_URL", None)
    settings = {
        "EXPTRACK_DATA": str(folder / "data"),
        "EXPTRACK_ADMIN_USER": USER,
        "EXPTRACK_ADMIN_PASSWORD": password,
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }
    command = [sys.executable, str(ROOT / "manage.py"), "serve"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=clean | settings, stdout=log, stderr=log)
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
def page() -> Iterator[Page]:
    """A page of a light browser without a head."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("No chromium on this machine.")
    flags = ["--disable-gpu", "--no-first-run"] + ["--no-sandbox"] * (os.geteuid() == 0)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser.new_page(viewport=SIZE, color_scheme="light", reduced_motion="reduce")
        browser.close()


def sign_in(browser_page: Page, url: str, password: str) -> None:
    browser_page.goto(f"{url}/account/sign-in/")
    browser_page.get_by_label("User name").fill(USER)
    browser_page.get_by_label("Password").fill(password)
    browser_page.get_by_role("button", name="Sign in").click()


def take(browser_page: Page) -> None:
    """The first experiment of the list, with its table."""
    browser_page.locator("tbody th a").first.click()
    browser_page.locator("tbody tr").first.wait_for()
    browser_page.wait_for_load_state("networkidle")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    browser_page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
