// Included by MicroPython's extmod/modtime.c: time counts from 2000-01-01, as on an ESP32.

#include "py/objtuple.h"
#include "shared/timeutils/timeutils.h"

#include "board.h"

static mp_obj_t mp_time_time_get(void) {
    return mp_obj_new_int_from_ull(board_time_us() / 1000000);
}

static mp_obj_t mp_time_localtime_get(void) {
    timeutils_struct_time_t tm;
    timeutils_seconds_since_epoch_to_struct_time(board_time_us() / 1000000, &tm);
    const int parts[] = {tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_wday, tm.tm_yday};
    mp_obj_t items[8];
    for (size_t i = 0; i < 8; ++i) {
        items[i] = MP_OBJ_NEW_SMALL_INT(parts[i]);
    }
    return mp_obj_new_tuple(8, items);
}
