# Every target that needs .venv sets it up first; once that is done it takes no time.
.DEFAULT_GOAL := help
.PHONY: help setup train test lint clean

# Another ROS 2, sourced from apt or belonging to another environment, must not leak into ours.
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH PYTHONHOME
unexport LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
export PYTHON TORCH_INDEX
PROCESSES = 2

# --flag VALUE for a variable of the command line. The environment does not count: some systems
# export NAME.
flag = $(if $(filter command,$(origin $(1))),$(if $($(1)),--$(2) '$($(1))'))

help:
	@echo 'make train [TASK=] [PRESET=] [SEED=] [STEPS=] [NAME=] [ARGS=]   train, see: medal train --help'
	@echo 'make test [PROCESSES=] [ARGS=]   run the tests, so many files side by side; ARGS go to pytest'
	@echo 'make lint           check style'
	@echo 'make setup          only make .venv; train, test and lint do it by themselves'
	@echo 'make clean          remove .venv and build; runs/ stays'
	@echo 'With each: PYTHON=python3.12 chooses the interpreter, TORCH_INDEX=URL where torch is from.'

setup:
	@scripts/setup.sh

train: setup
	@.venv/bin/medal train $(call flag,TASK,task) $(call flag,PRESET,preset) \
		$(call flag,SEED,seed) $(call flag,STEPS,steps) $(call flag,NAME,name) $(ARGS)

# By default files with the fewest tests come last; ours with the fewest take the longest.
test: setup
	@.venv/bin/python -m pytest --numprocesses $(PROCESSES) --dist loadfile \
		--no-loadscope-reorder $(ARGS)

lint: setup
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check

clean:
	rm -rf .venv build .pytest_cache .ruff_cache
