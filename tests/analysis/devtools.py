"""Chromium as someone sits before it: keys, the system's preferences, what scripts then see.

Over two pipes of the DevTools protocol, whose messages end with a zero byte.
"""

import contextlib
import fcntl
import json
import os
import select
import subprocess
import time

SECONDS = 60
_KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "ArrowDown": (40, "")}


class Devtools:
    """A page in a browser of its own. Every wait has a deadline."""

    def __init__(self, chromium, page, profile, width=1280):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        self._in, self._out, self._text, self._id = ours_in, ours_out, b"", 0
        self._session = {}
        # The browser reads from 3 and writes to 4: copies far from there, which it gets as these.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (theirs_in, theirs_out)]
        self._browser = subprocess.Popen(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
             f"--user-data-dir={profile}", f"--window-size={width},900", "about:blank"],
            preexec_fn=lambda: (os.dup2(ends[0], 3), os.dup2(ends[1], 4)), pass_fds=(3, 4, *ends),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        target = next(each["targetId"] for each in self.call("Target.getTargets")["targetInfos"]
                      if each["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        self.call("Page.navigate", url=f"file://{page}")
        end = time.monotonic() + SECONDS
        while self.run("document.documentElement.dataset.state") is None:
            assert time.monotonic() < end, "the page does not get ready"
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.call("Browser.close")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._browser.wait(10)
        self._browser.kill()
        self._browser.wait()
        os.close(self._in)
        os.close(self._out)

    def call(self, method, **given):
        self._id += 1
        message = {"id": self._id, "method": method, "params": given, **self._session}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + SECONDS
        while True:
            while b"\0" not in self._text:
                ready, _, _ = select.select([self._in], [], [], max(0, end - time.monotonic()))
                assert ready, f"{method} has no answer"
                piece = os.read(self._in, 1 << 16)
                if not piece:
                    raise OSError("the browser has ended")
                self._text += piece
            answer, self._text = self._text.split(b"\0", 1)
            answer = json.loads(answer)
            if answer.get("id") == self._id:
                assert "error" not in answer, answer
                return answer["result"]

    def run(self, script):
        """What a script's expression gives; None where it has no value."""
        return self.call("Runtime.evaluate", expression=script,
                         returnByValue=True)["result"].get("value")

    def press(self, key):
        code, text = _KEYS[key]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode=code, text=text if kind == "keyDown" else "")
