# MicroPython's port for QEMU, with what an appliance's board has: see ../../README.md.
QEMU_ARCH = arm
QEMU_MACHINE = mps2-an385

CFLAGS += -mthumb -mcpu=cortex-m3 -mfloat-abi=soft
CFLAGS += -DQEMU_SOC_MPS2
CFLAGS += -DMICROPY_HW_MCU_NAME='"Cortex-M3"'
CFLAGS += -DMP_CONFIGFILE='"boards/APPLIANCE/mpconfigboard.h"'

LDSCRIPT = boards/APPLIANCE/board.ld
SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o
SRC_C += board.c flash.c shared/timeutils/timeutils.c
MPY_CROSS_FLAGS += -march=armv7m

MICROPY_VFS_LFS2 = 1
FROZEN_MANIFEST = boards/manifest.py

# What an ESP32 without PSRAM gives Python at the most: it grows to about 111.9 KB (MicroPython issues 12141 and 13219).
MICROPY_HEAP_SIZE = 114688
