// The emulated board below the interpreter: what board.c does with the Cortex-M3's peripherals, for the other files here.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Why the board started last; the numbers are those of MicroPython's ESP32 port.
enum { CAUSE_POWER_ON = 1, CAUSE_HARD = 2, CAUSE_WATCHDOG = 3, CAUSE_DEEP_SLEEP = 4, CAUSE_SOFT = 5 };

#define RTC_MEMORY_BYTES (2048) // as an ESP32's

void board_start(void);
void board_start_flash(void);
void board_soft_reset(void);
void board_reset(uint32_t cause) __attribute__((noreturn));
uint32_t board_cause(void);

uint64_t board_us(void); // since this start
void board_spin_us(uint32_t us);
uint64_t board_time_us(void); // since 2000-01-01; a board that lost its power begins there
void board_set_time_us(uint64_t us);

void board_random(void *buffer, size_t length);
void board_watch(uint32_t ms); // the watchdog: reset in so many ms unless called again; it cannot be stopped

// Memory that a reset leaves alone and a loss of power does not.
uint8_t *board_rtc_memory(void);
uint32_t *board_rtc_memory_length(void);
