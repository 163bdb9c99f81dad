"""A headless Chromium, driven over two pipes by the DevTools protocol: what people do, and what the page did."""

import base64
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
         "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe"]  # fmt: skip
PIPED = """import fcntl, os, sys
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]]  # 3 and 4 may be among them
for fd, wanted in zip(high, (3, 4)):
    os.dup2(fd, wanted)
os.execv(sys.argv[3], sys.argv[3:])
"""  # Chromium reads commands on 3 and answers on 4
BOX = "(() => {{ const r = {of}.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; }})()"
FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
PATIENCE = 60  # seconds for one answer


def executable() -> str | None:
    """Where Chromium is, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One page of one browser; `errors` and `requests` grow with what the page complains of and asks for."""

    def __init__(self, profile: Path):
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.buffer, self.last = b"", 0
        self.session: str | None = None
        from_us, self.out = os.pipe()
        self.into, to_us = os.pipe()
        command = [str(executable()), *QUIET, f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", PIPED, str(from_us), str(to_us), *command],
            pass_fds=(from_us, to_us),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_us)
        os.close(to_us)
        try:
            self._attach()
        except BaseException:
            self.process.kill()
            self.process.wait(PATIENCE)
            raise

    def _attach(self) -> None:
        """Talk to its one page from now on."""
        [target] = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """End the browser, and only this one."""
        try:
            self.session = None
            self.call("Browser.close")
        except (OSError, TimeoutError):
            self.process.kill()
        self.process.wait(PATIENCE)
        os.close(self.out)
        os.close(self.into)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command; its result. What happens meanwhile is noted."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self.last:
            self._note(answer)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load a file in a window of this size, and wait for it."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=page.as_uri())
        until = time.monotonic() + PATIENCE
        while self.evaluate("document.readyState + location.protocol") != "completefile:":
            assert time.monotonic() < until, f"{page} does not load"

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press and release a key, as a person would: `press("Enter", 13)`."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code, "text": "\r" if key == "Enter" else ""}
        self.call("Input.dispatchKeyEvent", type="keyDown", **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.into], [], [], PATIENCE)
            if not ready or not (read := os.read(self.into, 2**20)):
                raise TimeoutError("Chromium does not answer.")
            self.buffer += read
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                self.errors.append(str(params["args"]))
            case "Log.entryAdded":
                self.errors.append(str(params["entry"]))
            case "Page.javascriptDialogOpening":
                self.errors.append(f"dialog: {params['message']}")
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])


def pointer(chromium: Chromium, selector: str, *kinds: str) -> None:
    """What a mouse does in the middle of the element."""
    found = f"document.querySelector({selector!r})"
    chromium.evaluate(f"{found}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    chromium.call("Runtime.evaluate", expression=FRAMES, awaitPromise=True)  # scrolling is told with a frame
    x, y, width, height = chromium.evaluate(BOX.format(of=found))
    for kind in ("mouseMoved", *kinds):
        button = "none" if kind == "mouseMoved" else "left"
        about = {"x": x + width / 2, "y": y + height / 2, "button": button, "clickCount": 1}
        chromium.call("Input.dispatchMouseEvent", type=kind, **about)


def printed(chromium: Chromium) -> tuple[int, int]:
    """Of the page as it is printed: how many pieces of text it has, and how many pages."""
    pdf = base64.b64decode(chromium.call("Page.printToPDF", printBackground=False, preferCSSPageSize=True)["data"])
    streams = re.findall(rb"FlateDecode.*?stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    shown = sum(len(re.findall(rb"\bTj\b|\bTJ\b", zlib.decompressobj().decompress(stream))) for stream in streams)
    return shown, len(re.findall(rb"/Type\s*/Page\b", pdf))
