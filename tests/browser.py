"""A headless Chromium that is installed here, driven by Playwright; nothing is downloaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["CHROMIUM", "MISSING", "Opened", "chromium", "opened"]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
"""The browser's path; None where there is none (`apt-get install chromium`)."""
MISSING = (
    "no Chromium is installed here"
    if CHROMIUM is None
    else ""
    if find_spec("playwright")
    else "Playwright is not installed"
)
"""Why no page can be opened; "" where one can."""
CONTRASTS = """() => {
  const channels = (color) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (color) => {
    const [r, g, b] = channels(color).slice(0, 3).map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (channels(color)[3] === 255) return color;
    }
    return "white";
  };
  const found = {};
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.disabled || ["OPTION", "SCRIPT", "TITLE"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const [a, b] = [element.namespaceURI.endsWith("svg") ? style.fill : style.color, behind(element)].map(light).sort((x, y) => y - x);
    const name = `${element.tagName.toLowerCase()}.${element.className.baseVal ?? element.className}`;
    found[name] = Math.min(found[name] ?? 21, (a + 0.05) / (b + 0.05));
  }
  return found;
}"""
"""The least contrast (WCAG 2) of visible text by kind of element."""


class Opened(NamedTuple):
    """A page, and what it said and asked for meanwhile."""

    page: Any
    complaints: list[str]
    requests: list[str]


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, path: Path, **settings: Any) -> Iterator[Opened]:
    """The file in a fresh window; complaints are console messages and uncaught errors."""
    context = browser.new_context(**settings)
    context.set_default_timeout(10_000)
    found = Opened(context.new_page(), [], [])
    found.page.on("console", lambda message: found.complaints.append(message.text))
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.on("dialog", lambda dialog: (found.complaints.append(dialog.message), dialog.dismiss()))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(path.as_uri())
    yield found
    context.close()
