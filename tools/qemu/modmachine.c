// Included by MicroPython's extmod/modmachine.c: what `machine` has on the emulated board, as on an ESP32.

#include "shared/timeutils/timeutils.h"

#include "board.h"

extern const mp_obj_base_t board_flash_obj;

static void mp_machine_idle(void) {
    mp_event_wait_ms(1);
}

static void mp_machine_reset(void) {
    board_reset(CAUSE_HARD);
}

static mp_int_t mp_machine_reset_cause(void) {
    return board_cause();
}

// Drawn by tools/emulator.py when it makes the file, and kept in it beside the flash.
static mp_obj_t mp_machine_unique_id(void) {
    return mp_obj_new_bytes((const uint8_t *)0x21f00100, 6);
}

static mp_obj_t mp_machine_get_freq(void) {
    return MP_OBJ_NEW_SMALL_INT(25000000);
}

static void mp_machine_set_freq(size_t n_args, const mp_obj_t *args) {
    mp_raise_NotImplementedError(MP_ERROR_TEXT("the emulated board has one frequency"));
}

static void mp_machine_lightsleep(size_t n_args, const mp_obj_t *args) {
    if (n_args) {
        mp_hal_delay_ms(mp_obj_get_int(args[0]));
    }
}

// Without a duration nothing wakes the board but its reset button: the emulator's restart.
static void mp_machine_deepsleep(size_t n_args, const mp_obj_t *args) {
    uint64_t end = n_args ? board_us() + (uint64_t)mp_obj_get_int(args[0]) * 1000 : UINT64_MAX;
    while (board_us() < end) {
        __asm volatile ("wfi");
    }
    board_reset(CAUSE_DEEP_SLEEP);
}

// RTC(): `datetime`, as mpremote sets it, and `memory`, which a reset leaves alone.

static const mp_obj_base_t rtc_obj;

static mp_obj_t rtc_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    return MP_OBJ_FROM_PTR(&rtc_obj);
}

// (year, month, day, weekday, hours, minutes, seconds, microseconds)
static mp_obj_t rtc_datetime(size_t n_args, const mp_obj_t *args) {
    if (n_args == 1) {
        uint64_t us = board_time_us();
        timeutils_struct_time_t tm;
        timeutils_seconds_since_epoch_to_struct_time(us / 1000000, &tm);
        const int parts[] = {tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_wday, tm.tm_hour, tm.tm_min, tm.tm_sec, us % 1000000};
        mp_obj_t items[8];
        for (size_t i = 0; i < 8; ++i) {
            items[i] = MP_OBJ_NEW_SMALL_INT(parts[i]);
        }
        return mp_obj_new_tuple(8, items);
    }
    mp_obj_t *items;
    mp_obj_get_array_fixed_n(args[1], 8, &items);
    mp_int_t part[8];
    for (size_t i = 0; i < 8; ++i) {
        part[i] = mp_obj_get_int(items[i]);
    }
    uint64_t seconds = timeutils_seconds_since_epoch(part[0], part[1], part[2], part[4], part[5], part[6]);
    board_set_time_us(seconds * 1000000 + part[7]);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(rtc_datetime_obj, 1, 2, rtc_datetime);

static mp_obj_t rtc_memory(size_t n_args, const mp_obj_t *args) {
    if (n_args == 1) {
        return mp_obj_new_bytes(board_rtc_memory(), *board_rtc_memory_length());
    }
    mp_buffer_info_t given;
    mp_get_buffer_raise(args[1], &given, MP_BUFFER_READ);
    if (given.len > RTC_MEMORY_BYTES) {
        mp_raise_ValueError(MP_ERROR_TEXT("buffer too long"));
    }
    memcpy(board_rtc_memory(), given.buf, given.len);
    *board_rtc_memory_length() = given.len;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(rtc_memory_obj, 1, 2, rtc_memory);

static const mp_rom_map_elem_t rtc_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_datetime), MP_ROM_PTR(&rtc_datetime_obj) },
    { MP_ROM_QSTR(MP_QSTR_memory), MP_ROM_PTR(&rtc_memory_obj) },
};
static MP_DEFINE_CONST_DICT(rtc_locals, rtc_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(rtc_type, MP_QSTR_RTC, MP_TYPE_FLAG_NONE, make_new, rtc_make_new, locals_dict, &rtc_locals);

static const mp_obj_base_t rtc_obj = { &rtc_type };

#define MICROPY_PY_MACHINE_EXTRA_GLOBALS \
    { MP_ROM_QSTR(MP_QSTR_RTC), MP_ROM_PTR(&rtc_type) }, \
    { MP_ROM_QSTR(MP_QSTR_flash), MP_ROM_PTR(&board_flash_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_PWRON_RESET), MP_ROM_INT(CAUSE_POWER_ON) }, \
    { MP_ROM_QSTR(MP_QSTR_HARD_RESET), MP_ROM_INT(CAUSE_HARD) }, \
    { MP_ROM_QSTR(MP_QSTR_WDT_RESET), MP_ROM_INT(CAUSE_WATCHDOG) }, \
    { MP_ROM_QSTR(MP_QSTR_DEEPSLEEP_RESET), MP_ROM_INT(CAUSE_DEEP_SLEEP) }, \
    { MP_ROM_QSTR(MP_QSTR_SOFT_RESET), MP_ROM_INT(CAUSE_SOFT) },
