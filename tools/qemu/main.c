// What an ESP32 does from power-on to the REPL, on the emulated board: _boot.py, boot.py, main.py, the REPL, soft reset.

#include <stdlib.h>

#include "py/gc.h"
#include "py/runtime.h"
#include "py/stackctrl.h"
#include "shared/runtime/gchelper.h"
#include "shared/runtime/pyexec.h"

#include "board.h"

// An ESP32's task for Python has a stack of 16 KiB, of which the interpreter uses all but the last one.
#define STACK_BYTES (15 * 1024)

static uint32_t heap[MICROPY_HEAP_SIZE / sizeof(uint32_t)];

// Runs what there is to run; returns at a soft reset.
static void run_programs(void) {
    pyexec_frozen_module("_boot.py", false);
    int ended = pyexec_file_if_exists("boot.py");
    if (ended & PYEXEC_FORCED_EXIT) {
        return;
    }
    if (pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL && ended != 0) {
        ended = pyexec_file_if_exists("main.py");
        if (ended & PYEXEC_FORCED_EXIT) {
            return;
        }
    }
    do {
        ended = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl();
    } while (ended == 0);
}

int main(int argc, char **argv) {
    board_start();
    board_start_flash();
    mp_stack_ctrl_init();
    mp_stack_set_limit(STACK_BYTES);
    for (;;) {
        gc_init(heap, (char *)heap + sizeof(heap));
        mp_init();
        run_programs();
        mp_printf(&mp_plat_print, "MPY: soft reboot\n");
        gc_sweep_all();
        mp_deinit();
        board_soft_reset();
    }
}

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    gc_collect_end();
}

void nlr_jump_fail(void *value) {
    mp_printf(&mp_plat_print, "FATAL: uncaught exception %p\n", value);
    board_reset(CAUSE_HARD);
}
