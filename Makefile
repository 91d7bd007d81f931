# Every target sets up what it needs under build/. Help is made from the `##` comments.
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.SUFFIXES:

PYTHON ?= python3
PY := build/venv/bin/python
BOARD ?= esp32_generic

# Of pytest's processes one more than there are cores: many tests wait for processes, and for the real seconds of an accelerated clock.
SIDE_BY_SIDE = --numprocesses=$(shell expr $$(nproc) + 1) --dist=worksteal

# Caches of the tools stay under build/, so that `make clean` is complete.
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/pycache
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/build/hypothesis

##@ Start here
.PHONY: run
run: unix ## One appliance, the service simulator and the cloud between them, 30 virtual days in about a minute: BACKEND=gateway DAYS= SPEED= SEED= NOTICES=off
	@$(PY) -m tools.run $(if $(DAYS),--days $(DAYS)) $(if $(SPEED),--speed $(SPEED)) $(if $(SEED),--seed $(SEED)) \
	    $(if $(NOTICES),--notices $(NOTICES)) $(if $(BACKEND),--backend $(BACKEND))

.PHONY: test
test: test-pc ## All tests but the long ones: CPython, the same suites on 64-bit and 32-bit Unix MicroPython, power cuts
	@$(MAKE) test-unix powerloss

.PHONY: test-long
test-long: ## The long tests: kills by the hundred, faults at every allocation, updates of an emulated board
	@$(MAKE) test-pc ARGS="-m long $(SIDE_BY_SIDE)"

.PHONY: link
link: unix $(if $(PORT),venv-all) ## Link an agent to its customer's account, in a browser: CONFIG= on this PC, or PORT= of a board
	@$(PY) -m tools.link $(if $(CONFIG),--config "$(CONFIG)") $(if $(PORT),--port "$(PORT)") $(ARGS)

.PHONY: doctor
doctor: unix $(if $(PORT),venv-all) ## What keeps a device from ordering, and the remedy: CONFIG=, APPLIANCE= (SERIAL=), or PORT= of a board
	@$(PY) -m tools.doctor $(if $(CONFIG),--config "$(CONFIG)") $(if $(APPLIANCE),--appliance "$(APPLIANCE)") $(if $(PORT),--port "$(PORT)") \
	    $(if $(SERIAL),--serial "$(SERIAL)") $(ARGS)

.PHONY: calibrate
calibrate: unix $(if $(CONFIG),,venv-all) ## Calibrate a slot's sensor, empty and full: PORT= of a board, or CONFIG= on this PC; SLOT=id, ARGS=--show
	@$(PY) -m tools.calibrate $(if $(CONFIG),--config "$(CONFIG)") $(if $(PORT),--port "$(PORT)") $(if $(SLOT),--slot "$(SLOT)") $(if $(PART),--part "$(PART)") $(ARGS)

.PHONY: selftest
selftest: unix $(if $(PORT),venv-all) ## Self-test of a test device, from linking on, at the simulator; CONFIG= or PORT=: of a linked one. ARGS="--report FILE.md"
	@$(PY) -m tools.selftest $(if $(CONFIG),--config "$(CONFIG)") $(if $(PORT),--port "$(PORT)") $(ARGS)

##@ Parts
.PHONY: unix
unix: venv-run ## build/unix/agent: the agent under Unix MicroPython (MICROPYTHON=/path uses yours)
	@$(PY) -m tools.toolchain micropython mpy-cross
	@$(PY) -m tools.build --board unix

.PHONY: sim
sim: venv-run ## The service simulator alone, over TLS; LAN=1 or LAN=ADDRESS: for a board on the desk. ARGS="--help"
	@$(PY) -m tools.simulator $(if $(LAN),--lan $(if $(filter-out 1,$(LAN)),"$(LAN)")) $(ARGS)

.PHONY: relay
relay: venv-run ## The relay of the service's notifications to MQTT: ARGS="--config relay.toml"
	@$(PY) -m tools.cloud $(ARGS)

.PHONY: gateway
gateway: venv-run ## The maker's gateway, to which devices send their intents: ARGS="--config gateway.toml"
	@$(PY) -m tools.cloud.gateway $(ARGS)

.PHONY: lambda
lambda: venv-run ## build/lambda/: the relay as Lambda functions, for tools/cloud/template.yaml
	@$(PY) -m tools.cloud.package

.PHONY: test-pc
test-pc: venv-all venv-stubs unix micropython32 mosquitto qemu ## Tests on CPython, and the scenarios on real interpreters: ARGS="-k name"
	@$(PY) -m pytest $(or $(ARGS),-m "not long" $(SIDE_BY_SIDE))

.PHONY: test-unix
test-unix: venv-all unix micropython32 ## The dual suites on Unix MicroPython, 64-bit and 32-bit
	@$(PY) -m host_tests.unix_port

.PHONY: powerloss
powerloss: venv-all unix micropython32 ## Cut the power everywhere, on every medium: MEDIUM= LIFE= DEPTH=2, or CUT= to repeat one
	@$(PY) -m host_tests.powerloss $(if $(MEDIUM),--medium $(MEDIUM)) $(if $(LIFE),--life $(LIFE)) $(if $(CUT),--cut $(CUT)) \
	    $(if $(DEPTH),--depth $(DEPTH))

.PHONY: powerloss-mutants
powerloss-mutants: venv-all ## Break the firmware on purpose and see each break caught: MUTANT=name
	@$(PY) -m host_tests.powerloss.mutants $(MUTANT)

.PHONY: test-board
test-board: venv-all toolchain qemu ## The agent and the tools on a microcontroller in QEMU, killed at random instants: KILLS= SEED=, ARGS="-k name"
	@$(PY) -m pytest -rP host_tests/board $(or $(ARGS),$(SIDE_BY_SIDE))

.PHONY: emulator
emulator: venv-run qemu ## The emulated board in the foreground; prints its PORT for the targets that take one: FLASH=file, FIRMWARE=image
	@$(PY) -m tools.emulator $(if $(FLASH),--flash "$(FLASH)") $(if $(FIRMWARE),--firmware "$(FIRMWARE)")

.PHONY: model
model: venv-all ## Explore every state of the order machine and its service; tell how wrong devices would be caught
	@$(PY) -m host_tests.model

.PHONY: kills
kills: venv-all unix micropython32 ## kill -9 at random instants of orders' lives: N=500 SEED=1
	@KILLS=$(N) SEED=$(SEED) $(PY) -m pytest -rP host_tests/scenarios/test_kills.py

.PHONY: gateway-faults
gateway-faults: venv-all unix micropython32 mosquitto ## Lost answers and deaths between device, gateway and store: N=1000 NEEDS=4 SEED=1
	@FAULT_RUNS=$(N) GATEWAY_NEEDS=$(NEEDS) SEED=$(SEED) $(PY) -m pytest -rP host_tests/scenarios/test_gateway_faults.py

.PHONY: faults
faults: venv-all unix micropython32 ## Memory and the medium failing at every point of a whole order life: minutes
	@$(PY) -m host_tests.faults $(ARGS)

.PHONY: bench
bench: venv-all $(if $(filter forecast relay gateway,$(PART)),,unix micropython32) $(if $(filter board,$(PART)),qemu) $(if $(filter relay gateway uplink,$(PART)),mosquitto) ## What the store costs the flash, what the forecast is worth, against the budgets: PART=flash|forecast|relay|gateway|update|uplink|board JSON=file
	@$(PY) -m host_tests.bench $(if $(PART),--part $(PART)) $(if $(JSON),--json "$(JSON)")

.PHONY: diagram
diagram: venv-run ## Draw the order machine in the READMEs, from its table
	@$(PY) -m tools.diagram

.PHONY: check
check: venv-all venv-stubs toolchain ## Lint, types, board facts, drawings, and every firmware module compiled for every board
	@$(PY) -m tools.check

##@ Boards
.PHONY: new
new: venv-run ## The folder of a new appliance, from three questions: ARGS="--help"
	@$(PY) -m tools.new $(ARGS)

# What goes onto a board: an appliance file names its board, a configuration may; the default board is for neither.
GIVEN_BOARD = $(if $(and $(CONFIG),$(filter file,$(origin BOARD))),,--board $(BOARD))
TARGET = $(if $(APPLIANCE),--appliance "$(APPLIANCE)" $(if $(SERIAL),--serial "$(SERIAL)"),$(GIVEN_BOARD) $(if $(CONFIG),--config "$(CONFIG)"))

.PHONY: build
build: venv-run toolchain ## Compile the firmware for BOARD= into build/<board>/; with APPLIANCE= or CONFIG= only what that uses: ARGS=--dry-run
	@$(PY) -m tools.build $(TARGET) $(ARGS)

.PHONY: frozen
frozen: venv-run toolchain $(if $(filter qemu,$(BOARD)),qemu) ## The agent frozen into a MicroPython image for BOARD= or APPLIANCE=: for `qemu` the image, for others the commands that make it
	@$(PY) -m tools.frozen $(TARGET) $(ARGS)

.PHONY: flash
flash: venv-all toolchain ## Put it on BOARD= or APPLIANCE= (SERIAL=), at PORT= if there are several, after IMAGE= if named, with CONFIG=: ARGS=--dry-run
	@$(PY) -m tools.flash $(TARGET) $(if $(PORT),--port "$(PORT)") $(if $(IMAGE),--image "$(IMAGE)") $(ARGS)

.PHONY: provision
provision: venv-all ## Give the unit at PORT= its serial, Wi-Fi, secrets and link: APPLIANCE= SERIAL=, or CONFIG=; SECRETS=file, else it asks
	@$(PY) -m tools.provision $(TARGET) $(if $(PORT),--port "$(PORT)") $(if $(SECRETS),--secrets "$(SECRETS)") $(ARGS)

.PHONY: monitor
monitor: venv-all ## What the board at PORT= tells, and what it waits for; Ctrl-C ends it
	@$(PY) -m tools.monitor $(if $(PORT),--port "$(PORT)") $(ARGS)

.PHONY: backup
backup: venv-all ## Keep configuration and state of the board at PORT= in TO=folder, or give it BACKUP=folder back: ARGS=--with-secrets
	@$(PY) -m tools.backup $(if $(PORT),--port "$(PORT)") $(if $(TO),--to "$(TO)") $(if $(BACKUP),--restore "$(BACKUP)") $(ARGS)

.PHONY: factory-reset
factory-reset: venv-all ## Erase orders, levels, link and Wi-Fi of the board at PORT=, after its serial was typed: ARGS=--yes
	@$(PY) -m tools.reset $(if $(PORT),--port "$(PORT)") $(ARGS)

.PHONY: keys
keys: venv-all ## The key that signs updates, once, into KEYS= outside of here: ARGS=--password
	@$(PY) -m tools.bundle keys "$(or $(KEYS),$(HOME)/.replenish-keys)" $(ARGS)

.PHONY: bundle
bundle: venv-all build ## A signed update for BOARD=, or one appliance's with APPLIANCE= or CONFIG=, by KEY=private.pem: VERSION= OVER= IMAGE= OUT= ANCHORS=
	@$(PY) -m tools.bundle make $(TARGET) --key "$(or $(KEY),$(HOME)/.replenish-keys/private.pem)" $(if $(VERSION),--version $(VERSION)) \
	    $(if $(OVER),--over $(OVER)) $(if $(IMAGE),--image "$(IMAGE)") $(if $(OUT),--out "$(OUT)") $(if $(ANCHORS),--anchors $(ANCHORS))

.PHONY: update
update: venv-all ## Install BUNDLE= on the board at PORT=, beside what runs; it is tried, and confirms itself or is given up
	@$(if $(BUNDLE),,$(error BUNDLE= names the update))$(PY) -m tools.bundle install "$(BUNDLE)" $(if $(PORT),--port "$(PORT)") $(ARGS)

.PHONY: size
size: unix ## Bytes of .mpy for each module, against the budget
	@$(PY) -m tools.size

##@ House
.PHONY: lock
lock: ## Resolve pyproject.toml's versions into tools/*.lock, with hashes
	@$(PYTHON) -m tools.lock

.PHONY: clean
clean: ## Remove everything that was built or downloaded
	@rm -rf build

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
	    /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z0-9-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo

# Set-up, called by the targets above. Each step knows by itself when there is nothing to do.
.PHONY: venv-run venv-all venv-stubs toolchain micropython32 mosquitto qemu
venv-run venv-all venv-stubs:
	@$(PYTHON) tools/environment.py $(@:venv-%=%)

toolchain: venv-run
	@$(PY) -m tools.toolchain micropython mpy-cross

micropython32: venv-run
	@$(PY) -m tools.toolchain micropython32

mosquitto: venv-run
	@$(PY) -m tools.toolchain mosquitto

qemu: venv-run
	@$(PY) -m tools.toolchain qemu
