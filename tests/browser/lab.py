#!/usr/bin/env python3
"""The lab's page as a person uses it, in headless Chromium.

Every experiment is predicted, run and explained; lanes are seen to move; the console stays empty; nothing is asked of another machine; it works
with the keyboard alone, on a phone's width, in light and dark; a connection that fails is tried again, and who takes all of them does not end a
run; a closed tab stops its workers, and Ctrl-C leaves nothing behind.

    pip install playwright
    cargo build --release && tests/browser/lab.py target/release/gristmill [FOLDER FOR PICTURES] [EXPERIMENT ...]
"""

import os
import re
import shutil
import signal
import socket
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
        assert self.page.query_selector("#set:enabled")
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
        assert not self.page.query_selector("#set :enabled") and self.page.query_selector("#set :disabled"), "a knob can be moved"
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
        assert re.match(r"\d+ of 100\.|No score: ", self.page.text_content("#score")), self.page.text_content("#score")
        assert len(self.page.text_content("#saw")) > 80
        assert self.page.query_selector_all("#checks li") and self.page.query_selector("#found svg path, #found svg polyline, #found svg rect")
        # Of lanes there are some, or it is said that there are none.
        assert self.page.is_visible("#some-lanes") != self.page.is_visible("#no-lanes")
        assert bool(self.page.query_selector_all("#rows .row")) == self.page.is_visible("#some-lanes")

    def tab_to(self, target, key="Tab"):
        """Tab, until it has the focus."""
        for _ in range(60):
            if self.page.evaluate("target => document.activeElement.matches(target)", target):
                return
            self.page.keyboard.press(key)
        raise AssertionError(f"{key} does not come to {target}")

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


# Both runs have values that can be compared, so that their distance is told.
COSTS = re.compile(r"What looking on costs: With the lanes kept, .* were \d+\.\d % (lower|higher) than without \(.* [1-9]\d* places\)\..*chance")


def every_experiment(browser, lab, folder, only):
    tab = Page(browser, lab, viewport={"width": 1100, "height": 900})
    names = tab.names()
    assert len(names) == 14, names
    for name in names:
        if only and name not in only:
            continue
        began = time.monotonic()
        tab.open(name)
        first = tab.page.is_visible("#first")
        # The code that is to be read does not come with what is wrong in it.
        assert first == (name == "crime") and first == tab.page.is_hidden("#all-code")
        assert not first or len(tab.page.query_selector_all("#first pre")) == 5
        tab.seconds(1)
        tab.predict()
        tab.run("measure")
        tab.done()
        # Of these there are runs that show none of the answers.
        assert "of 100" in tab.page.text_content("#score") or name in ("ladder", "death", "crime")
        tab.fits()
        costs = tab.page.text_content("#disturbance")
        assert "keeps no lanes" in costs if tab.page.is_visible("#no-lanes") else COSTS.match(costs), costs
        for button in tab.page.query_selector_all("#steps button"):
            button.click()
        assert tab.page.query_selector("#code .line.new"), "nothing is marked in the code"
        tab.picture(folder, name)
        print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
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
    assert tab.page.text_content("#disturbance").startswith("What looking on costs: These figures were taken while lanes were kept.")
    shown = lambda: (tab.page.text_content("#at"), *(now.get_attribute("aria-label") for now in tab.page.query_selector_all(".now")))
    tab.page.focus("#scrub")
    moments = {tab.page.keyboard.press(key) or shown() for key in ["Home", *["ArrowRight"] * 10]}
    assert len(moments) > 3, "other moments look the same"
    # Another theme has other colours.
    painted = lambda: tab.page.eval_on_selector("#rows canvas", "canvas => canvas.toDataURL()")
    dark = painted()
    tab.page.emulate_media(color_scheme="light")
    until(lambda: painted() != dark, "lanes keep the colours of the other theme")
    tab.close()


def the_dead_have_a_lane(browser, lab, folder):
    tab = Page(browser, lab, viewport={"width": 390, "height": 800})
    tab.open("death")
    tab.predict()
    # Whom a kill meets is a matter of chance: what the page is told is made up here.
    none = {"working": 0, "holding": 0, "waiting": 0, "asleep": 0}
    lanes = [{**none, "gone": 1}, {**none, "working": 0.25, "gone": 0.75}, {**none, "asleep": 1}]
    told = {"events": [{"lanes": {"lanes": lanes, "at": "after the kill"}}, {"end": "stopped"}], "next": 2}
    tab.page.route("**/events*", lambda route: route.fulfill(json=told))
    tab.page.check("input[value=watch]")
    tab.page.click("#run")
    tab.page.wait_for_selector("#trouble:visible")
    said = [now.get_attribute("aria-label") for now in tab.page.query_selector_all(".now")]
    assert said == ["worker 1: gone 100 %", "worker 2: working 25 %, gone 75 %", "worker 3: asleep 100 %"], said
    assert "1.8 had ended or were killed" in tab.page.text_content("#together")
    shown = [[part.text_content() for part in now.query_selector_all("span")] for now in tab.page.query_selector_all(".now")]
    assert shown[0] == ["", "", "", "", "X"], shown
    tab.fits()
    tab.picture(folder, "phone-gone")
    tab.close()
    lab.idle("a run is left behind")


def knobs_and_questions(browser, lab):
    tab = Page(browser, lab)
    tab.open("scale")
    assert tab.page.text_content("#moved") == ""
    tab.page.focus("#knob-workers")
    tab.page.keyboard.press("ArrowRight")
    assert "workers=9" in tab.page.text_content("#moved"), "it is not said that the question is of other knobs"
    tab.predict()
    assert "Predict again" in tab.page.text_content("#locked")
    tab.page.click("#again")
    assert tab.page.is_enabled("#knob-workers") and "workers=9" in tab.page.text_content("#moved")
    tab.close()


def the_keyboard_alone_on_a_phone(browser, lab, folder):
    """From the address bar to the result: nothing is clicked, and nothing gets the focus but by a key."""
    tab = Page(browser, lab, viewport={"width": 390, "height": 800}, device_scale_factor=2, has_touch=True)
    press = tab.page.keyboard.press
    active = lambda name: tab.page.evaluate("name => document.activeElement.getAttribute(name)", name)
    tab.tab_to("#experiments a[href='#hold']")
    press("Enter")
    tab.page.wait_for_selector("#experiments a[href='#hold'][aria-current]")
    tab.tab_to("#knob-job")
    press("ArrowRight")
    tab.tab_to(".draw circle")
    plane, hole = (tab.page.query_selector(one).bounding_box() for one in [".draw", ".scroll:has(.draw)"])
    assert plane["width"] <= hole["width"], "a part of what is to be drawn on is hidden"
    before = active("aria-valuenow")
    press("ArrowUp")
    assert active("aria-valuenow") != before, "arrow keys do not draw"
    press("ArrowRight")
    assert active("aria-label") == "value at 20"
    press("Home")
    assert active("aria-valuenow") == "0"
    tab.tab_to("#lock")
    press("Space")
    assert active("id") == "run", "what comes next has not the focus"
    assert "job=" in tab.page.text_content("#moved")
    tab.tab_to("input[name=mode]", "Shift+Tab")
    assert active("value") == "measure"
    press("ArrowDown")
    assert active("value") == "watch"
    tab.tab_to("#seconds", "Shift+Tab")
    press("Home")
    press("ArrowRight")
    tab.tab_to("#run")
    press("Enter")
    tab.page.wait_for_selector("#stop:visible")
    tab.done()
    tab.fits()
    assert active("id") == "result-heading"
    tab.tab_to("#found summary")
    press("Space")
    assert tab.page.is_visible("#found table")
    tab.tab_to("#steps button")
    press("Enter")
    assert active("aria-pressed") == "true"
    tab.picture(folder, "phone")
    tab.tab_to("#again", "Shift+Tab")
    press("Enter")
    assert active("id") == "predict-heading" and tab.page.is_enabled("#knob-job")
    # And one that is answered by a choice.
    tab.tab_to("#experiments a[href='#crime']", "Shift+Tab")
    press("Enter")
    tab.page.wait_for_selector("#experiments a[href='#crime'][aria-current]")
    tab.tab_to(".choices input")
    press("Space")
    press("ArrowDown")
    assert tab.page.query_selector(".choices input:checked").get_attribute("value") == "1"
    tab.tab_to("#lock")
    press("Enter")
    assert active("id") == "run"
    tab.fits()
    tab.picture(folder, "phone-crime")
    tab.close()


def what_fails_is_tried_again(browser, lab):
    tab = Page(browser, lab)
    tab.open("hold")
    tab.seconds(6)
    tab.predict()
    # Four requests in a row are cut off, then four are not; and all the time others take the places and say nothing.
    cut = []
    sometimes = lambda route: route.abort("connectionreset") if len(cut) % 8 < 4 else route.continue_()
    tab.page.route("**/events*", lambda route: (cut.append(route), sometimes(route)))
    tab.run("measure")
    port = int(re.match(r"http://127\.0\.0\.1:(\d+)/", lab.address)[1])
    silent = []
    while tab.page.is_visible("#stop"):
        silent = [*silent[-200:], *(socket.create_connection(("127.0.0.1", port)) for _ in range(12))]
        tab.page.wait_for_timeout(20)
    tab.done()
    assert len(cut) > 8
    # One of its own may be shut for others, too, before it was read.
    assert tab.said and all(said.startswith("Failed to load resource: net::ERR_") for said in tab.said), tab.said
    tab.said.clear()
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
            the_dead_have_a_lane(browser, lab, folder)
            knobs_and_questions(browser, lab)
            the_keyboard_alone_on_a_phone(browser, lab, folder)
            what_fails_is_tried_again(browser, lab)
            a_closed_tab_stops_its_workers(browser, lab)
            every_experiment(browser, lab, folder, sys.argv[3:])
            tab = Page(browser, lab)
            tab.open("hold")
            tab.predict()
            tab.run("watch")
            until(lambda: len(lab.below()) >= 2, "no worker")
            lab.interrupt()
            # It asks for some seconds more.
            tab.page.wait_for_selector("#trouble:visible")
            assert "has ended" in tab.page.text_content("#trouble")
            browser.close()
    finally:
        lab.process.send_signal(signal.SIGINT)
        lab.process.wait(timeout=30)
    print("all as it should be")


if __name__ == "__main__":
    main()
