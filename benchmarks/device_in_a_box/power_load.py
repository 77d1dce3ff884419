"""Runs inside the virtual machine while its power is cut: changes a model file again and again, says what it did.

    python power_load.py GO PLACE MODEL MODEL RECORDING ...

Each line is JSON: `{"doing": N, "wanted": SHA256}` before a change, `{"done": N, "placed": SHA256}` when the library
has reported it, `{"uptime_s", "sizes"}` of the recordings a few times a second. It looks at
the first model, says `{"ready": true}`, and begins once the file GO is there.
"""

import hashlib
import itertools
import json
import sys
import threading
import time
from pathlib import Path

from fkp_edge.model.deployment import install_model, previous_of, roll_back

EVERY_S = 0.2


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tell_sizes(recordings):
    while True:
        uptime_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        say(uptime_s=uptime_s, sizes={path.name: path.stat().st_size for path in recordings})
        time.sleep(EVERY_S)


def main(go, place, first, second, *recordings):
    place, models = Path(place), (Path(first), Path(second))
    install_model(models[0], place)
    say(ready=True)
    while not Path(go).exists():
        time.sleep(0.01)
    threading.Thread(target=tell_sizes, args=([Path(name) for name in recordings],), daemon=True).start()
    for number in itertools.count():
        if number % 3 == 2:  # two installs, then one back
            say(doing=number, wanted=digest(previous_of(place)))
            roll_back(place)
        else:
            say(doing=number, wanted=digest(models[number % 2]))
            install_model(models[number % 2], place)
        say(done=number, placed=digest(place))


if __name__ == "__main__":
    main(*sys.argv[1:])
