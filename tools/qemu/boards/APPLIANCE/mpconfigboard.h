// What MicroPython's ports/qemu leaves out and a module with an ESP32 has.

#include "mpconfigport.h"

#undef MICROPY_PY_SYS_STDIO_BUFFER
#undef MICROPY_PY_SELECT
#undef MICROPY_PY_TIME
#undef MICROPY_PY_ASYNCIO
#define MICROPY_PY_SYS_STDIO_BUFFER (1)
#define MICROPY_PY_SELECT (1)
#define MICROPY_PY_TIME (1)
#define MICROPY_PY_ASYNCIO (1)

#define MICROPY_PY_TIME_TIME_TIME_NS (1)
#define MICROPY_PY_TIME_GMTIME_LOCALTIME_MKTIME (1)
#define MICROPY_PY_TIME_INCLUDEFILE "ports/qemu/modtime.c"
#define MICROPY_PY_OS_STATVFS (1)
#define MICROPY_PY_OS_URANDOM (1)
#define MICROPY_PY_OS_INCLUDEFILE "ports/qemu/modos.c"
#define MICROPY_PY_MACHINE_BARE_METAL_FUNCS (1)
#define MICROPY_PY_MACHINE_WDT (1)
#define MICROPY_PY_MACHINE_WDT_INCLUDEFILE "ports/qemu/machine_wdt.c"
#define MICROPY_GC_STACK_ENTRY_TYPE uint16_t
#define MICROPY_ALLOC_PATH_MAX (128)

// The processor stops until an interrupt comes; the timer's does within a millisecond.
#define MICROPY_INTERNAL_WFE(timeout_ms) __asm volatile ("wfi")

static inline unsigned long board_mask_interrupts(void) {
    unsigned long state;
    __asm volatile ("mrs %0, primask\n cpsid i" : "=r" (state) : : "memory");
    return state;
}
static inline void board_unmask_interrupts(unsigned long state) {
    __asm volatile ("msr primask, %0" : : "r" (state) : "memory");
}
#define MICROPY_BEGIN_ATOMIC_SECTION() board_mask_interrupts()
#define MICROPY_END_ATOMIC_SECTION(state) board_unmask_interrupts(state)
