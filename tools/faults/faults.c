// Allocations that fail on demand, and snapshots of the whole interpreter: the module `faults` of build/bin/micropython32-faults.
//
// Everything that Python code takes from the heap goes through gc_alloc and gc_realloc, called from py/malloc.c. The linker turns
// these calls into calls of the functions here (-Wl,--wrap; calls inside gc.c stay as they are, so each request counts once).
// The module is made when the interpreter starts and not registered when it is compiled: so the very objects of the plain
// interpreter are linked once more, with this one beside them. What the functions do: README.md.

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "py/gc.h"
#include "py/mpstate.h"
#include "py/objmodule.h"
#include "py/runtime.h"

void *__real_gc_alloc(size_t n_bytes, unsigned int alloc_flags);
void *__real_gc_realloc(void *ptr, size_t n_bytes, bool allow_move);
void __real_mp_init(void);

static mp_int_t counted; // requests since fail_at()
static mp_int_t first;   // the first of them that fails, 0: none
static bool lasting;     // and all after it
static bool spared;      // what comes now is neither counted nor failed

static bool refused(void) {
    // A locked heap gives nothing anyway: those requests are no choice of ours.
    if (spared || MP_STATE_THREAD(gc_lock_depth) > 0) {
        return false;
    }
    counted += 1;
    if (first == 0 || !(lasting ? counted >= first : counted == first)) {
        return false;
    }
    // As a full heap does it: a collection first, with its finalisers, then no.
    spared = true;
    gc_collect();
    spared = false;
    return true;
}

void *__wrap_gc_alloc(size_t n_bytes, unsigned int alloc_flags) {
    return n_bytes != 0 && refused() ? NULL : __real_gc_alloc(n_bytes, alloc_flags);
}

void *__wrap_gc_realloc(void *ptr, size_t n_bytes, bool allow_move) {
    // What shrinks, or stays within its blocks, never fails.
    bool grows = n_bytes > (ptr == NULL ? 0 : gc_nbytes(ptr));
    return grows && refused() ? NULL : __real_gc_realloc(ptr, n_bytes, allow_move);
}

static mp_obj_t faults_fail_at(size_t n_args, const mp_obj_t *args) {
    first = mp_obj_get_int(args[0]);
    lasting = n_args > 1 && mp_obj_is_true(args[1]);
    counted = 0;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(faults_fail_at_obj, 1, 2, faults_fail_at);

static mp_obj_t faults_count(void) {
    return MP_OBJ_NEW_SMALL_INT(counted);
}
static MP_DEFINE_CONST_FUN_OBJ_0(faults_count_obj, faults_count);

static mp_obj_t faults_spare(mp_obj_t on) {
    bool before = spared;
    spared = mp_obj_is_true(on);
    return mp_obj_new_bool(before);
}
static MP_DEFINE_CONST_FUN_OBJ_1(faults_spare_obj, faults_spare);

static mp_obj_t faults_fork(void) {
    pid_t child = fork();
    if (child < 0) {
        mp_raise_OSError(errno);
    }
    return mp_obj_new_int(child);
}
static MP_DEFINE_CONST_FUN_OBJ_0(faults_fork_obj, faults_fork);

static mp_obj_t faults_wait(mp_obj_t child) {
    int status;
    if (waitpid(mp_obj_get_int(child), &status, 0) < 0) {
        mp_raise_OSError(errno);
    }
    return MP_OBJ_NEW_SMALL_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
}
static MP_DEFINE_CONST_FUN_OBJ_1(faults_wait_obj, faults_wait);

static mp_obj_t faults_leave(mp_obj_t status) {
    _exit(mp_obj_get_int(status));
}
static MP_DEFINE_CONST_FUN_OBJ_1(faults_leave_obj, faults_leave);

// Bytes from one buffer to another, for a block device in Python that works while the heap is locked, as one in C does.
static mp_obj_t faults_copy(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t to, from;
    mp_get_buffer_raise(args[0], &to, MP_BUFFER_WRITE);
    mp_get_buffer_raise(args[2], &from, MP_BUFFER_READ);
    size_t to_at = mp_obj_get_int(args[1]), from_at = mp_obj_get_int(args[3]), size = mp_obj_get_int(args[4]);
    if (to_at > to.len || size > to.len - to_at || from_at > from.len || size > from.len - from_at) {
        mp_raise_ValueError(NULL);
    }
    memmove((byte *)to.buf + to_at, (const byte *)from.buf + from_at, size);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(faults_copy_obj, 5, 5, faults_copy);

void __wrap_mp_init(void) {
    __real_mp_init();
    static const struct {
        const char *name;
        mp_const_obj_t function;
    } functions[] = {
        {"fail_at", MP_ROM_PTR(&faults_fail_at_obj)},
        {"count", MP_ROM_PTR(&faults_count_obj)},
        {"spare", MP_ROM_PTR(&faults_spare_obj)},
        {"fork", MP_ROM_PTR(&faults_fork_obj)},
        {"wait", MP_ROM_PTR(&faults_wait_obj)},
        {"leave", MP_ROM_PTR(&faults_leave_obj)},
        {"copy", MP_ROM_PTR(&faults_copy_obj)},
    };
    mp_obj_t module = mp_obj_new_module(qstr_from_str("faults"));
    for (size_t i = 0; i < MP_ARRAY_SIZE(functions); i++) {
        mp_store_attr(module, qstr_from_str(functions[i].name), (mp_obj_t)functions[i].function);
    }
}
