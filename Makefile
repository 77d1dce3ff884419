# fkp-edge: `make run` on a device, `make test` on a desktop.
PYTHON ?= python3
DEVICE := .venv/.installed
DEV := .venv-dev/.installed
ARGS ?=
FAST := tests/core tests/evaluation tests/device/tracking tests/stream/protocol tests/test_results.py
DATA ?= ../shared/data
FKP := .venv-dev/bin/fkp-edge
MODELS := fkp_edge/model/shipped
RESULTS := benchmarks/results

.PHONY: help run site test-fast bench device-env test lint types check-imports test-extras test-slow test-picamera test-install test-container test-vm test-arm64 bench-arm64 pytest coverage docs models results clean-venv

help: ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  \1\t/' | expand -t 18

WEB := $(or $(findstring --web,$(ARGS)),$(findstring ws://,$(ARGS)),$(findstring wss://,$(ARGS)))

run: $(DEVICE) ## camera -> keypoints on tcp://127.0.0.1:8765; where no camera is, the bundled demo (ARGS="--source ...")
	@$(if $(WEB),.venv/bin/python -c "import aiohttp" 2>/dev/null || { echo "installing what pages need into .venv"; \
	  .venv/bin/pip install --quiet --disable-pip-version-check -c .venv/constraints.txt -e '.[web]'; })
	@.venv/bin/fkp-edge run $(ARGS)

device-env: $(DEVICE) ## the device part in .venv, without TensorFlow

# picamera2 comes from apt with libcamera, so the environment must see the system's packages where it is there. Its
# compiled parts may be built for NumPy 1, which a newer NumPy in the environment would break.
$(DEVICE): pyproject.toml
	@python="$(PYTHON)"; flags=; numpy=numpy; \
	if /usr/bin/python3 -c "import picamera2" 2>/dev/null; then \
	  echo "picamera2 is installed: the environment sees the system's packages"; \
	  python=/usr/bin/python3; flags=--system-site-packages; \
	  numpy=$$(/usr/bin/python3 -c "import numpy; print('numpy<2' if numpy.__version__ < '2' else 'numpy')"); \
	fi; \
	$$python -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  { echo "fkp-edge needs Python 3.11 or later; name one: make run PYTHON=python3.11" >&2; exit 2; }; \
	$$python -m venv $$flags .venv || { echo "no venv module; sudo apt install python3-venv" >&2; exit 2; }; \
	echo "$$numpy" > .venv/constraints.txt && \
	echo "installing the device part into .venv, a minute or more on a small board" && \
	.venv/bin/pip install --quiet --disable-pip-version-check -c .venv/constraints.txt -e .
	@touch $@

bench: $(DEVICE) ## measures this machine: bench-NAME.json, to be contributed (ARGS="--quick")
	.venv/bin/fkp-edge bench --report bench-$$(uname -n).json $(ARGS)

test: lint types check-imports pytest ## everything: lint, types, import guards and the whole suite

$(DEV): pyproject.toml
	$(PYTHON) -m venv .venv-dev
	@echo "installing everything into .venv-dev, 2.6 GB with TensorFlow"
	.venv-dev/bin/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

lint: $(DEV) ## ruff
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/ruff check .

types: $(DEV) ## mypy --strict
	.venv-dev/bin/mypy

check-imports: $(DEV) ## which room may import which
	.venv-dev/bin/lint-imports --no-cache

test-extras: $(DEV) ## each extra alone beside the bare wheel, train and convert too (2.6 GB each, from PyPI)
	FKP_EDGE_DESKTOP_EXTRAS=1 .venv-dev/bin/pytest -rs tests/test_packaging.py -k alone

test-slow: $(DEV) ## the live pipe held to 30, 12, 6 and 3 % of a core (root, for control groups; two minutes)
	FKP_EDGE_SLOW=1 .venv-dev/bin/pytest -rs tests/device/test_slow_live.py

test-picamera: $(DEV) ## the Pi camera's source on a real picamera2 and libcamera's virtual camera (root, mmdebstrap)
	FKP_EDGE_PICAMERA_ROOT=$(abspath .picamera) .venv-dev/bin/pytest -rs tests/device/test_picamera.py

test-install: $(DEV) ## device/install.sh: installed, upgraded, taken back and removed in Debian 12 and 13 roots (root, mmdebstrap; five minutes)
	FKP_EDGE_INSTALL_ROOTS=$(abspath .install) .venv-dev/bin/pytest -rs tests/device/test_install.py

test-container: $(DEV) ## the service under Debian's systemd in a container, and 200 power cuts (root, mmdebstrap, systemd-container, btrfs-progs)
	.venv-dev/bin/python benchmarks/booted_device.py .vm/report.json --container $(ARGS)

test-vm: $(DEV) ## the device as a machine that boots, in QEMU, with a USB camera by uvcvideo (root, mmdebstrap, qemu-system-x86)
	.venv-dev/bin/python benchmarks/booted_device.py .vm/report.json $(ARGS)

test-arm64: $(DEV) ## the wheel in emulated arm64 userlands of Debian 12 and 13, and with tflite-runtime (root, mmdebstrap, qemu-user)
	FKP_EDGE_ARM64_LAB=$(abspath .arm64) .venv-dev/bin/pytest -rs tests/arm64

bench-arm64: $(DEV) ## instructions on emulated Pi 4 and Pi 5 cores beside the committed ones (root, mmdebstrap, qemu-user, gcc; ARGS=--update)
	PYTHON=.venv-dev/bin/python benchmarks/arm64/roots.sh .arm64
	.venv-dev/bin/python benchmarks/bench_arm64.py .arm64 $(ARGS)

test-fast: $(DEV) ## the inner loop, half a minute: core, evaluation, tracking, protocol and the committed results
	.venv-dev/bin/pytest $(FAST) $(ARGS)

pytest: $(DEV) ## the suite alone (ARGS="tests/device -k demo")
	.venv-dev/bin/pytest $(ARGS)

mutants: $(DEV) ## changes of the device's and the stream's code that no test notices, a sample by seed; an hour (ARGS="--count 5 MODULE")
	.venv-dev/bin/python tests/mutants.py $(ARGS)

coverage: $(DEV) ## lines and branches of what runs on a device that its tests reach; fails where either is below 95 %
	.venv-dev/bin/coverage erase
	.venv-dev/bin/coverage run -m pytest --ignore=tests/train --ignore=tests/convert --ignore=tests/test_packaging.py $(ARGS)
	.venv-dev/bin/coverage combine --quiet
	.venv-dev/bin/coverage report
	.venv-dev/bin/coverage json --quiet --fail-under=0 -o - | .venv-dev/bin/python tests/branches.py

docs: $(DEV) ## what the pages take from the source and the results: figures, options, error messages, the protocol, the schema of bench
	.venv-dev/bin/python docs/figures/generate.py
	.venv-dev/bin/python docs/architecture_picture.py
	.venv-dev/bin/python docs/troubleshooting/generate.py
	.venv-dev/bin/python docs/protocol/generate.py
	.venv-dev/bin/python docs/bench_schema.py

site: $(DEV) ## the documentation as a site in .site/html; a broken link, a page outside the navigation or a public name without docstring fails
	@.venv-dev/bin/python -c "import mkdocs, mkdocstrings" 2>/dev/null || \
	  .venv-dev/bin/pip install --quiet --disable-pip-version-check -e '.[docs]'
	.venv-dev/bin/python docs/site/build.py

models: runs/keypointnet/model.keras runs/finder-crowds/model.keras ## trains and converts all that ships: hours on two cores, goes on where it was killed
	mkdir -p runs/converted
	$(FKP) convert runs/keypointnet/model.keras --data $(DATA) --out runs/converted/keypoints-int8.tflite --overwrite
	$(FKP) convert runs/keypointnet68/model.keras --data $(DATA) --out runs/converted/keypoints68-int8.tflite --overwrite
	$(FKP) convert runs/keypointnet/model.keras convert/small.toml --data $(DATA) --out runs/converted/keypoints-small-int8.tflite --overwrite
	$(FKP) convert runs/finder-crowds/model.keras --data $(DATA) --out runs/converted/finder-int8.tflite --overwrite
	cp runs/converted/finder-int8.tflite runs/converted/keypoints*-int8.tflite runs/converted/keypoints-float32.tflite runs/converted/keypoints68-float32.tflite $(MODELS)

# The weights go from each run to the next: 15 points, then 68, then 15 again.
runs/scratch/model.keras: | $(DEV)
	$(FKP) train train/scratch.toml --data $(DATA) --out $(@D) --resume

runs/keypointnet68/model.keras: runs/scratch/model.keras
	$(FKP) train train/keypointnet68.toml --start $< --data $(DATA) --out $(@D) --resume

runs/keypointnet/model.keras: runs/keypointnet68/model.keras
	$(FKP) train train/keypointnet.toml --start $< --data $(DATA) --out $(@D) --resume

runs/finder/model.keras: | $(DEV)
	$(FKP) train train/finder.toml --data $(DATA) --out $(@D) --resume

runs/finder-crowds/model.keras: runs/finder/model.keras
	$(FKP) train train/finder-crowds.toml --start $< --data $(DATA) --out $(@D) --resume

results: $(DEV) ## measures what the READMEs quote (DATA=folder with train/, test/, val/ and clips/): an hour
	$(FKP) eval keypoints-int8 keypoints-float32 keypoints-small-int8 --data $(DATA)/test --scenes --json > $(RESULTS)/accuracy_gt.json
	$(FKP) eval keypoints-int8 keypoints-float32 keypoints-small-int8 --data $(DATA)/test --crops haar --json > $(RESULTS)/accuracy_haar.json
	$(FKP) eval keypoints-int8 keypoints-float32 keypoints-small-int8 --data $(DATA)/test --crops jitter --json > $(RESULTS)/accuracy_jitter.json
	$(FKP) eval keypoints68-int8 keypoints68-float32 --data $(DATA)/test --scenes --json > $(RESULTS)/accuracy68.json
	$(FKP) eval keypoints-int8 keypoints68-int8 --data $(DATA)/unlabelled/utkface --groups age_gender_race --held-out 5 --json > $(RESULTS)/groups.json
	.venv-dev/bin/python benchmarks/labels.py $(DATA) $(RESULTS)/labels.json
	.venv-dev/bin/python benchmarks/stills.py $(DATA) $(RESULTS)/stills.json
	.venv-dev/bin/python benchmarks/scenes.py $(DATA) $(RESULTS)/scenes.json
	.venv-dev/bin/python benchmarks/conditions.py $(DATA) $(RESULTS)/conditions.json
	.venv-dev/bin/python benchmarks/measures.py $(DATA) $(RESULTS)/measures.json
	.venv-dev/bin/python benchmarks/blinks.py $(DATA) $(RESULTS)/blinks.json
	.venv-dev/bin/python benchmarks/crop_jitter.py $(DATA) $(RESULTS)/crop_jitter.json
	.venv-dev/bin/python benchmarks/clips.py $(DATA) $(RESULTS)/clips.json
	rm -f $(RESULTS)/demo.jsonl
	$(FKP) run --source demo --fast --no-smoothing --stream tcp://127.0.0.1:0 --record $(RESULTS)/demo.jsonl
	$(FKP) tune $(RESULTS)/demo.jsonl --json > $(RESULTS)/smoothing.json
	rm -f $(RESULTS)/demo.jsonl fkp-demo.png
	.venv-dev/bin/python benchmarks/tilted_search.py $(DATA) $(RESULTS)/tilted_search.json
	.venv-dev/bin/python benchmarks/crossing.py $(DATA) $(RESULTS)/crossing.json
	.venv-dev/bin/python benchmarks/search_settings.py $(DATA) $(RESULTS)/search_settings.json
	.venv-dev/bin/python benchmarks/live.py $(RESULTS)/live.json
	.venv-dev/bin/python benchmarks/slow_boards.py $(RESULTS)/slow_boards.json
	.venv-dev/bin/python benchmarks/soak.py $(RESULTS)/soak.json
	.venv-dev/bin/python benchmarks/soak_faults.py $(RESULTS)/soak_faults.json
	.venv-dev/bin/python benchmarks/mean_face.py $(DATA) $(RESULTS)/pose.json
	.venv-dev/bin/python benchmarks/engine_cost.py $(RESULTS)/engine_cost.json
	.venv-dev/bin/python benchmarks/tracker_cost.py $(RESULTS)/tracker_cost.json
	.venv-dev/bin/python benchmarks/start.py $(RESULTS)/start.json
	.venv-dev/bin/python benchmarks/between_runs.py $(RESULTS)/between_runs.json
	.venv-dev/bin/python benchmarks/growth.py $(RESULTS)/growth.json
	.venv-dev/bin/python benchmarks/limit.py $(RESULTS)/limit.json

clean-venv: ## removes both environments
	rm -rf .venv .venv-dev
