#!/usr/bin/env python3
"""The lab's page as a person uses it, in headless Chromium.

Every experiment is predicted, run and explained; lanes are seen to move; the console stays empty; nothing is asked of another machine; it works
with the keyboard alone, on a phone's width, in light and dark; a closed tab stops its workers, and Ctrl-C leaves nothing behind.

    pip install playwright
    cargo build --release && tests/browser/lab.py target/release/gristmill [FOLDER FOR PICTURES] [EXPERIMENT ...]
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

# Longer than this it hangs.
PATIENCE = 60_000


class Lab:
    """A server under way."""

    def __init__(self, program):
        self.process = subprocess.Popen([program, "lab", "serve"], stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:"), self.address

    def below(self):
        """All processes that it has started, and theirs."""
        found, look = [], [self.process.pid]
        while look:
            pid = look.pop()
            try:
                tasks = os.listdir(f"/proc/{pid}/task")
                texts = [Path(f"/proc/{pid}/task/{task}/children").read_text() for task in tasks]
            except OSError:
                continue
            children = [int(child) for text in texts for child in text.split()]
            found += children
            look += children
        return found

    def idle(self, what):
        until(lambda: not self.below(), what)

    def interrupt(self):
        pids = self.below()
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=30) == 130
        until(lambda: not any(alive(pid) for pid in pids), "workers outlive Ctrl-C")


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(so, what, seconds=30):
    end = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < end, what
        time.sleep(0.05)


class Page:
    """A tab that notes what it must not do."""

    def __init__(self, browser, lab, **how):
        self.lab = lab
        self.context = browser.new_context(**how)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(lab.address)
        self.page.wait_for_selector("#experiments a")

    def names(self):
        links = self.page.query_selector_all("#experiments a")
        return [link.get_attribute("href")[1:] for link in links]

    def open(self, name):
        self.page.click(f"#experiments a[href='#{name}']")
        self.page.wait_for_selector(f"#experiments a[href='#{name}'][aria-current]")

    def seconds(self, seconds):
        self.page.focus("#seconds")
        self.page.keyboard.press("Home")
        for _ in range(seconds - 1):
            self.page.keyboard.press("ArrowRight")
        assert self.page.text_content("output[for=seconds]") == str(seconds)

    def predict(self):
        assert self.page.is_disabled("#run"), "it can be run without a prediction"
        over = self.page.query_selector(".draw svg + svg")
        if over:
            over.scroll_into_view_if_needed()
            box = over.bounding_box()
            self.page.mouse.move(box["x"] + 0.13 * box["width"], box["y"] + 0.35 * box["height"])
            self.page.mouse.down()
            self.page.mouse.move(box["x"] + 0.96 * box["width"], box["y"] + 0.7 * box["height"], steps=12)
            self.page.mouse.up()
        else:
            self.page.click(".choices label >> nth=0")
        self.page.click("#lock")
        handles = self.page.query_selector_all(".draw circle")
        if handles:
            before = handles[0].get_attribute("aria-valuenow")
            handles[0].focus()
            self.page.keyboard.press("ArrowUp")
            assert handles[0].get_attribute("aria-valuenow") == before, "a locked prediction was changed"

    def run(self, mode):
        self.page.check(f"input[value={mode}]")
        self.page.click("#run")
        self.page.wait_for_selector("#stop:visible")

    def done(self):
        self.page.wait_for_selector("#stop", state="hidden")
        assert self.page.is_hidden("#trouble"), self.page.text_content("#trouble")
        assert self.page.text_content("#state") == "Done."
        assert "of 100" in self.page.text_content("#score")
        assert len(self.page.text_content("#saw")) > 80
        assert self.page.query_selector_all("#checks li") and self.page.query_selector("#found svg path, #found svg polyline, #found svg rect")
        assert "What looking on costs" in self.page.text_content("#disturbance")

    def fits(self):
        wide = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], f"it is wider than the screen: {wide}"

    def picture(self, folder, name):
        if folder:
            self.page.screenshot(path=folder / f"{name}.png", full_page=True)

    def close(self):
        assert self.said == [], self.said
        origin = self.lab.address.rsplit("/", 2)[0] + "/"
        assert all(url.startswith((origin, "data:")) for url in self.asked), self.asked
        self.context.close()


def every_experiment(browser, lab, folder, only):
    tab = Page(browser, lab, viewport={"width": 1100, "height": 900})
    for name in tab.names():
        if only and name not in only:
            continue
        print(name, flush=True)
        tab.open(name)
        tab.seconds(4)
        tab.predict()
        tab.run("measure")
        tab.done()
        tab.fits()
        for button in tab.page.query_selector_all("#steps button"):
            button.click()
        assert tab.page.query_selector("#code .line.new"), "nothing is marked in the code"
        tab.picture(folder, name)
    lab.idle("a run is left behind")
    tab.close()


def lanes_move(browser, lab, folder):
    tab = Page(browser, lab, color_scheme="dark", viewport={"width": 1100, "height": 900})
    tab.open("hold")
    tab.seconds(6)
    tab.predict()
    tab.run("watch")
    tab.page.wait_for_selector("#rows .row >> nth=1")
    seen = set()

    def moved():
        seen.add(tuple(now.get_attribute("aria-label") for now in tab.page.query_selector_all(".now")))
        return len(seen) > 5 and any("holding" in label for labels in seen for label in labels)

    until(moved, "lanes do not move")
    tab.picture(folder, "watched-dark")
    tab.done()
    assert tab.page.is_visible("#scrub")
    before = tab.page.text_content("#together")
    tab.page.focus("#scrub")
    tab.page.keyboard.press("Home")
    tab.page.keyboard.press("ArrowRight")
    assert tab.page.text_content("#at") and before
    tab.close()


def keyboard_on_a_phone(browser, lab, folder):
    tab = Page(browser, lab, viewport={"width": 390, "height": 800}, device_scale_factor=2, has_touch=True)
    tab.open("hold")
    tab.seconds(2)
    tab.page.focus(".draw circle >> nth=0")
    value = lambda: tab.page.evaluate("document.activeElement.getAttribute('aria-valuenow')")
    before = value()
    tab.page.keyboard.press("ArrowUp")
    assert value() != before, "arrow keys do not draw"
    tab.page.keyboard.press("ArrowRight")
    assert tab.page.evaluate("document.activeElement.getAttribute('aria-label')") == "value at 20"
    tab.page.keyboard.press("Home")
    assert value() == "0"
    for target in ["lock", "run"]:
        tab.page.focus(f"#{target}")
        tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("#stop:visible")
    tab.done()
    tab.fits()
    assert tab.page.evaluate("document.activeElement.id") == "result-heading"
    tab.picture(folder, "phone")
    tab.close()


def a_closed_tab_stops_its_workers(browser, lab):
    tab = Page(browser, lab)
    tab.open("hold")
    tab.seconds(60)
    tab.predict()
    tab.run("watch")
    until(lambda: len(lab.below()) >= 2, "no worker")
    tab.close()
    lab.idle("workers outlive their page")


def main():
    program = sys.argv[1]
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    chromium = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    # Whoever asks for an address gets none.
    arguments = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-dev-shm-usage"]
    lab = Lab(program)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=arguments, chromium_sandbox=False)
            lanes_move(browser, lab, folder)
            keyboard_on_a_phone(browser, lab, folder)
            a_closed_tab_stops_its_workers(browser, lab)
            every_experiment(browser, lab, folder, sys.argv[3:])
            tab = Page(browser, lab)
            tab.open("hold")
            tab.predict()
            tab.run("watch")
            until(lambda: len(lab.below()) >= 2, "no worker")
            lab.interrupt()
            tab.page.wait_for_selector("#trouble:visible")
            assert "has ended" in tab.page.text_content("#trouble")
            browser.close()
    finally:
        lab.process.send_signal(signal.SIGINT)
    print("all as it should be")


if __name__ == "__main__":
    main()
