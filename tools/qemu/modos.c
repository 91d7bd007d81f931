// Included by MicroPython's extmod/modos.c.

#include "board.h"

static mp_obj_t mp_os_urandom(mp_obj_t size) {
    mp_int_t length = mp_obj_get_int(size);
    vstr_t bytes;
    vstr_init_len(&bytes, length);
    board_random(bytes.buf, length);
    return mp_obj_new_bytes_from_vstr(&bytes);
}
static MP_DEFINE_CONST_FUN_OBJ_1(mp_os_urandom_obj, mp_os_urandom);
