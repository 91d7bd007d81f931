// Included by MicroPython's extmod/machine_wdt.c.

#include "board.h"

typedef struct _machine_wdt_obj_t {
    mp_obj_base_t base;
    uint32_t timeout_ms;
} machine_wdt_obj_t;

static machine_wdt_obj_t wdt = {{&machine_wdt_type}, 0};

static machine_wdt_obj_t *mp_machine_wdt_make_new_instance(mp_int_t id, mp_int_t timeout_ms) {
    if (id != 0 || timeout_ms <= 0) {
        mp_raise_ValueError(NULL);
    }
    wdt.timeout_ms = timeout_ms;
    board_watch(timeout_ms);
    return &wdt;
}

static void mp_machine_wdt_feed(machine_wdt_obj_t *self) {
    board_watch(self->timeout_ms);
}
