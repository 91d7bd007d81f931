// The board's flash: NOR as it is on a module, in the PSRAM of QEMU's mps2-an385, which tools/emulator.py backs by a file. So it is
// there again after QEMU was killed, and the kill leaves what a power cut leaves: a page half programmed, a sector half erased.
// An erase sets every bit; programming only clears bits. Both take the time that they take on a module.

#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"
#include "extmod/vfs.h"

#include "board.h"

#define FLASH ((volatile uint8_t *)0x21000000)
#define FLASH_BYTES (2 * 1024 * 1024)
#define SECTOR_BYTES (4096)
#define PAGE_BYTES (256)
// Typical times of the W25Q series (Winbond's data sheets): page program 0.4 to 0.7 ms, sector erase 45 ms.
#define PAGE_PROGRAM_US (500)
#define SECTOR_ERASE_US (45000)

// Beside the flash, for whoever has the file: what the flash is doing and has done, and when the power is to fail. tools/emulator.py knows this layout.
typedef struct {
    uint32_t busy; // 0, BUSY_PROGRAM or BUSY_ERASE; with CUT: it stands still
    uint32_t programs;
    uint32_t erases;
    uint32_t bytes_programmed;
    uint32_t cut_in; // written from outside: the power fails in the middle of the so-manieth operation from now; 0: it does not
} gauge_t;
#define GAUGE ((volatile gauge_t *)(FLASH + 15 * 1024 * 1024))
enum { BUSY_PROGRAM = 1, BUSY_ERASE = 2, CUT = 4 };

void board_start_flash(void) {
    GAUGE->busy = 0;
}

// The middle of an operation, which takes its time here. When the power fails in it, the board stands still until it is killed.
static void be_busy(uint32_t us) {
    if (GAUGE->cut_in && --GAUGE->cut_in == 0) {
        GAUGE->busy |= CUT;
        for (;;) {
        }
    }
    board_spin_us(us);
}

static void program_page(uint32_t at, const uint8_t *data, uint32_t length) {
    for (uint32_t i = 0; i < length; ++i) {
        if (i == length / 2) {
            be_busy(PAGE_PROGRAM_US);
        }
        FLASH[at + i] &= data[i];
    }
}

static void program(uint32_t at, const uint8_t *data, uint32_t length) {
    GAUGE->busy = BUSY_PROGRAM;
    GAUGE->programs += 1;
    GAUGE->bytes_programmed += length;
    while (length) {
        uint32_t part = MIN(length, PAGE_BYTES - at % PAGE_BYTES);
        program_page(at, data, part);
        at += part;
        data += part;
        length -= part;
    }
    GAUGE->busy = 0;
}

static void erase(uint32_t at) {
    GAUGE->busy = BUSY_ERASE;
    GAUGE->erases += 1;
    for (uint32_t i = 0; i < SECTOR_BYTES; ++i) {
        if (i == SECTOR_BYTES / 2) {
            be_busy(SECTOR_ERASE_US);
        }
        FLASH[at + i] = 0xff;
    }
    GAUGE->busy = 0;
}

static uint32_t place(size_t n_args, const mp_obj_t *args, size_t length) {
    uint32_t block = mp_obj_get_int(args[1]), offset = n_args > 3 ? mp_obj_get_int(args[3]) : 0;
    if (block >= FLASH_BYTES / SECTOR_BYTES || offset > FLASH_BYTES || block * SECTOR_BYTES + offset + length > FLASH_BYTES) {
        mp_raise_OSError(MP_EINVAL);
    }
    return block * SECTOR_BYTES + offset;
}

static mp_obj_t flash_readblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(args[2], &buffer, MP_BUFFER_WRITE);
    memcpy(buffer.buf, (const uint8_t *)FLASH + place(n_args, args, buffer.len), buffer.len);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flash_readblocks_obj, 3, 4, flash_readblocks);

// Without an offset the sectors are erased first: MicroPython's simple block protocol.
static mp_obj_t flash_writeblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(args[2], &buffer, MP_BUFFER_READ);
    uint32_t at = place(n_args, args, buffer.len);
    for (size_t done = 0; n_args == 3 && done < buffer.len; done += SECTOR_BYTES) {
        erase(at + done);
    }
    program(at, buffer.buf, buffer.len);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flash_writeblocks_obj, 3, 4, flash_writeblocks);

static mp_obj_t flash_ioctl(mp_obj_t self, mp_obj_t op, mp_obj_t arg) {
    switch (mp_obj_get_int(op)) {
        case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
            return MP_OBJ_NEW_SMALL_INT(FLASH_BYTES / SECTOR_BYTES);
        case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
            return MP_OBJ_NEW_SMALL_INT(SECTOR_BYTES);
        case MP_BLOCKDEV_IOCTL_BLOCK_ERASE: {
            const mp_obj_t args[] = {self, arg};
            erase(place(2, args, SECTOR_BYTES));
            return MP_OBJ_NEW_SMALL_INT(0);
        }
        default:
            return MP_OBJ_NEW_SMALL_INT(0); // nothing is buffered, so there is nothing to do
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(flash_ioctl_obj, flash_ioctl);

static const mp_rom_map_elem_t flash_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&flash_readblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&flash_writeblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&flash_ioctl_obj) },
};
static MP_DEFINE_CONST_DICT(flash_locals, flash_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(flash_type, MP_QSTR_Flash, MP_TYPE_FLAG_NONE, locals_dict, &flash_locals);

const mp_obj_base_t board_flash_obj = { &flash_type };
