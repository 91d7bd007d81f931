// The peripherals of QEMU's mps2-an385 that make it a board: a UART with an interrupt, a clock that never loses time, a watchdog,
// memory that survives a reset. Registers: ARM's application note AN385 and the CMSDK technical reference manual (DDI 0479).

#include <string.h>

#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "shared/runtime/interrupt_char.h"

#include "board.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define TIMER_CONTROL REGISTER(0x40000000)
#define TIMER_VALUE REGISTER(0x40000004)
#define TIMER_RELOAD REGISTER(0x40000008)

#define UART_DATA REGISTER(0x40004000)
#define UART_STATE REGISTER(0x40004004)
#define UART_CONTROL REGISTER(0x40004008)
#define UART_INTERRUPT REGISTER(0x4000400c)
#define UART_BAUD_DIVISOR REGISTER(0x40004010)
#define UART_TX_FULL (1)
#define UART_RX_FULL (2)
#define UART_TX_ENABLE (1)
#define UART_RX_ENABLE (2)
#define UART_RX_INTERRUPT_ENABLE (8)
#define UART_RX_INTERRUPT (2)

#define WATCHDOG_LOAD REGISTER(0x40008000)
#define WATCHDOG_CONTROL REGISTER(0x40008008)
#define WATCHDOG_CLEAR REGISTER(0x4000800c)
#define WATCHDOG_LOCK REGISTER(0x40008c00)
#define WATCHDOG_KEY (0x1acce551)

#define SYSTICK_CONTROL REGISTER(0xe000e010)
#define SYSTICK_RELOAD REGISTER(0xe000e014)
#define INTERRUPT_ENABLE REGISTER(0xe000e100)
#define VECTOR_TABLE REGISTER(0xe000ed08)
#define RESET_CONTROL REGISTER(0xe000ed0c)
#define RESET_REQUEST (0x05fa0004)

#define CLOCK_MHZ (25)
#define TICK_HZ (1000)
#define WATCHDOG_STEP_MS (100)

// ---- What a reset leaves alone: the first bytes of the board's second RAM, which no section of the program lies in.

#define KEPT_MAGIC (0x5245504c)
typedef struct {
    uint32_t magic;
    uint32_t cause;
    uint64_t time_us;
    uint32_t memory_length;
    uint8_t memory[RTC_MEMORY_BYTES];
} kept_t;
#define KEPT ((kept_t *)0x20000000)

static uint32_t cause;
static uint64_t time_offset_us;

static void read_kept(void) {
    if (KEPT->magic != KEPT_MAGIC) { // QEMU gives a new process memory full of zeros
        memset(KEPT, 0, sizeof(kept_t));
        KEPT->magic = KEPT_MAGIC;
        KEPT->cause = CAUSE_POWER_ON;
    }
    cause = KEPT->cause;
    time_offset_us = KEPT->time_us;
    KEPT->cause = CAUSE_HARD; // unless the next reset says otherwise
}

uint32_t board_cause(void) {
    return cause;
}

void board_soft_reset(void) {
    cause = CAUSE_SOFT;
}

void board_reset(uint32_t why) {
    KEPT->cause = why;
    KEPT->time_us = board_time_us();
    RESET_CONTROL = RESET_REQUEST;
    for (;;) {
    }
}

uint8_t *board_rtc_memory(void) {
    return KEPT->memory;
}

uint32_t *board_rtc_memory_length(void) {
    return &KEPT->memory_length;
}

// ---- Time. The timer counts down through 32 bits in 171 s; it is read at least at every tick, so no turn is missed, and
// counting it, not the ticks, loses nothing when the PC gives QEMU no time for a while.

static uint64_t timer_total;
static uint32_t timer_last;

uint64_t board_us(void) {
    uint32_t masked;
    __asm volatile ("mrs %0, primask" : "=r" (masked));
    __asm volatile ("cpsid i");
    uint32_t now = TIMER_VALUE;
    timer_total += timer_last - now;
    timer_last = now;
    uint64_t total = timer_total;
    if (!masked) {
        __asm volatile ("cpsie i");
    }
    return total / CLOCK_MHZ;
}

static void start_timer(void) {
    TIMER_RELOAD = 0xffffffff;
    TIMER_VALUE = 0xffffffff;
    TIMER_CONTROL = 1;
    timer_last = TIMER_VALUE;
    SYSTICK_RELOAD = CLOCK_MHZ * 1000000 / TICK_HZ - 1;
    SYSTICK_CONTROL = 7; // on, with its interrupt, from the processor's clock
}

static void on_tick(void) {
    board_us();
}

uint64_t board_time_us(void) {
    return board_us() + time_offset_us;
}

void board_set_time_us(uint64_t us) {
    time_offset_us = us - board_us();
}

void board_spin_us(uint32_t us) {
    uint64_t end = board_us() + us;
    while (board_us() < end) {
    }
}

mp_uint_t mp_hal_ticks_us(void) {
    return board_us();
}

mp_uint_t mp_hal_ticks_ms(void) {
    return board_us() / 1000;
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return board_us();
}

uint64_t mp_hal_time_ns(void) {
    return board_time_us() * 1000;
}

void mp_hal_delay_us(mp_uint_t us) {
    board_spin_us(us);
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint64_t end = board_us() + (uint64_t)ms * 1000, now;
    do {
        now = board_us();
        mp_event_wait_ms(now < end ? (end - now) / 1000 : 0);
    } while (now < end);
}

// ---- The serial line. Received bytes wait in a ring; when it is full the UART keeps the next one and QEMU the rest.

#define RING_BYTES (1024)
static uint8_t ring[RING_BYTES];
static volatile uint16_t ring_in, ring_out;

static void on_uart(void) {
    UART_INTERRUPT = UART_RX_INTERRUPT;
    while (UART_STATE & UART_RX_FULL) {
        if ((uint16_t)(ring_in - ring_out) == RING_BYTES) {
            UART_CONTROL &= ~UART_RX_INTERRUPT_ENABLE; // until there is room again
            return;
        }
        int byte = UART_DATA;
        if (byte == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            ring[ring_in++ % RING_BYTES] = byte;
        }
    }
}

static void start_uart(void) {
    UART_BAUD_DIVISOR = 16; // QEMU asks for one and ignores it
    UART_CONTROL = UART_TX_ENABLE | UART_RX_ENABLE | UART_RX_INTERRUPT_ENABLE;
    on_uart(); // a byte that came before this made no interrupt, and without its being read none would come any more
    INTERRUPT_ENABLE = 1;
}

static int next_byte(void) {
    if (ring_in == ring_out) {
        return -1;
    }
    int byte = ring[ring_out++ % RING_BYTES];
    if (!(UART_CONTROL & UART_RX_INTERRUPT_ENABLE)) {
        __asm volatile ("cpsid i");
        UART_CONTROL |= UART_RX_INTERRUPT_ENABLE;
        on_uart(); // the interrupt for the byte that waits was answered already
        __asm volatile ("cpsie i");
    }
    return byte;
}

uintptr_t mp_hal_stdio_poll(uintptr_t flags) {
    uintptr_t ready = flags & MP_STREAM_POLL_WR;
    if (ring_in != ring_out) {
        ready |= flags & MP_STREAM_POLL_RD;
    }
    return ready;
}

int mp_hal_stdin_rx_chr(void) {
    for (;;) {
        int byte = next_byte();
        if (byte >= 0) {
            return byte;
        }
        mp_event_wait_indefinite();
    }
}

mp_uint_t mp_hal_stdout_tx_strn(const char *text, size_t length) {
    for (size_t i = 0; i < length; ++i) {
        while (UART_STATE & UART_TX_FULL) {
        }
        UART_DATA = text[i];
    }
    return length;
}

// ---- The watchdog: its interrupt comes every step; the reset is asked for when none are left. Should the interrupt not be
// answered, the hardware resets the board by itself.

static volatile uint32_t watch_steps;

void board_watch(uint32_t ms) {
    watch_steps = ms / WATCHDOG_STEP_MS + 1;
    WATCHDOG_LOCK = WATCHDOG_KEY;
    WATCHDOG_LOAD = WATCHDOG_STEP_MS * CLOCK_MHZ * 1000;
    WATCHDOG_CONTROL = 3;
}

static void on_watchdog(void) {
    if (--watch_steps == 0) {
        board_reset(CAUSE_WATCHDOG);
    }
    WATCHDOG_CLEAR = 1;
}

// ---- Random numbers, from the PC: QEMU's semihosting opens and reads its files.

#define SEMIHOSTING_OPEN (1)
#define SEMIHOSTING_READ (6)
#define OPEN_TO_READ_BYTES (1)

static int semihosting(uint32_t number, const void *arguments) {
    register uint32_t result __asm__ ("r0") = number;
    register const void *given __asm__ ("r1") = arguments;
    __asm volatile ("bkpt 0xab" : "+r" (result) : "r" (given) : "memory");
    return result;
}

void board_random(void *buffer, size_t length) {
    static int handle;
    if (handle == 0) {
        static const char name[] = "/dev/urandom";
        const uint32_t open[] = {(uintptr_t)name, OPEN_TO_READ_BYTES, sizeof(name) - 1};
        handle = semihosting(SEMIHOSTING_OPEN, open);
    }
    const uint32_t read[] = {handle, (uintptr_t)buffer, length};
    if (handle < 0 || semihosting(SEMIHOSTING_READ, read) != 0) {
        mp_raise_OSError(5);
    }
}

// ---- The start. The vector table of the port has no place for the peripherals' interrupts, so the board has its own.

extern uint32_t _estack;
void Reset_Handler(void);
void HardFault_Handler(void);

static const void *const vectors[32] __attribute__((aligned(128))) = {
    &_estack, Reset_Handler, on_watchdog, HardFault_Handler, HardFault_Handler, HardFault_Handler, HardFault_Handler,
    [15] = on_tick,
    [16] = on_uart,
};

void board_start(void) {
    VECTOR_TABLE = (uintptr_t)vectors;
    start_timer();
    read_kept();
    start_uart();
}
